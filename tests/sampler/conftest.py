"""Tests of a sampling server (`make test-sampler`): vLLM, which is large, and not in the lock."""

from pathlib import Path

import pytest

from tests.unit.training.conftest import snapshot
from training.models.tiny import tiny_llama, tiny_tokenizer

__all__ = ["snapshot"]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As elsewhere, with heads of 32 dimensions: vLLM's attention on a CPU knows none smaller."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_llama(hidden_size=128).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
