"""Models beside their tokenizers: loading, heads, adapters, and the prefix-tree forward."""
