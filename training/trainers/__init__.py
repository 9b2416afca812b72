"""One algorithm a file, read top to bottom; trainers inherit from nothing and share no loop."""
