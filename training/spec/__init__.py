"""The contract between labeling and training: frozen values, JSON lines, no third-party import."""
