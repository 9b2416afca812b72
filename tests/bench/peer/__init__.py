"""The peer of the benches: Label Studio, installed in an environment of its own and served as its image serves it."""
