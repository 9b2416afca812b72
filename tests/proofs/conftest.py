"""The fixtures of the training tests, and one thread a process."""

from tests.unit.training.conftest import _one_thread, snapshot, tiny_folder

__all__ = ["_one_thread", "snapshot", "tiny_folder"]
