"""The training wing: torch, no web framework. It works from a folder, with or without Concord."""

import os

# Threads that spin while they wait make two runs on one machine many times slower; OpenMP reads this as torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# What oneDNN prepares for a product (of bfloat16 on a processor) it keeps for each shape, 1,024 of them: rows differ in
# length, so a run came to hold gigabytes that it hardly meets again. Read as torch loads.
for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_cache, "32")
