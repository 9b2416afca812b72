"""The contract between labeling and training: frozen values and JSON lines, standard library only."""
