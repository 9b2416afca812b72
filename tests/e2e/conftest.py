"""A real installation for the tests of this folder: its own folder, its own database, its own port."""

import os
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A tiny random chat model, built in code."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    code = "import sys; from training.models.tiny import save_tiny; save_tiny(sys.argv[1])"
    return folder, code, sys.executable, os.environ
