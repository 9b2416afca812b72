"""Tests of weights in 4 bits (`make test-qlora`): bitsandbytes comes with CUDA's libraries, and is not in the lock."""

from tests.unit.training.conftest import snapshot

__all__ = ["snapshot"]
