"""The training wing: torch, no web framework. It works from a folder, with or without Concord."""

import os

# Threads that spin while they wait make two runs on one machine many times slower; OpenMP reads this as torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
