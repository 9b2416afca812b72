"""Pure functions on tensors: tensors in, a NamedTuple out; no spec, no files, no log."""
