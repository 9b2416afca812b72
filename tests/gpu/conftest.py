"""Tests that need a CUDA GPU (`make test-gpu`): skipped where there is none."""

from pathlib import Path

import pytest
import torch

from tests.unit.training.conftest import judged_group, write_groups
from training.models.attention import kernel_of
from training.models.reward import new_reward_model, save_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer

WIDTH = 64  # of the tiny model: heads of 16, the smallest that FlexAttention takes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for one in items:
        if here in one.path.parents:
            one.add_marker(pytest.mark.gpu)
            if not torch.cuda.is_available():
                one.add_marker(pytest.mark.skip(reason="There is no CUDA GPU here."))


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`policy`, `reward` and `data`: a tiny model, a reward model on it, 48 judged prompts."""
    folder = tmp_path_factory.mktemp("gpu")
    tiny_llama(hidden_size=WIDTH, layers=4).save_pretrained(folder / "policy")
    tiny_tokenizer().save_pretrained(folder / "policy")
    cpu = torch.device("cpu")
    reward = new_reward_model(str(folder / "policy"), precision="float32", device=cpu, seed=3)
    save_reward_model(reward, folder / "reward")
    write_groups(folder / "data", [judged_group(number) for number in range(48)])
    return folder


@pytest.fixture(params=["flex", "sdpa"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What attends; skipped, saying why, where it cannot be had."""
    monkeypatch.setenv("CONCORD_ATTENTION", request.param)
    had = kernel_of(tiny_llama(hidden_size=WIDTH), torch.device("cuda"))
    if had.reason:
        pytest.skip(had.reason)
    assert had.name == request.param
    return had.name
