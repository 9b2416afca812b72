"""The fixtures of the training tests."""

from tests.unit.training.conftest import snapshot, tiny_folder

__all__ = ["snapshot", "tiny_folder"]
