"""Rows of trees on a GPU: FlexAttention, SDPA a piece, and padded rows are one model."""

import random

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from training.data.packing import Pack, TokenGroup, pack_groups
from training.models.attention import tree_hidden, use_prefix_tree

CUDA = torch.device("cuda")
ROWS = {"many blocks": (9, 160), "within a block": (2, 20)}  # groups, longest prompt


@pytest.fixture(params=ROWS.values(), ids=ROWS)
def pack(request: pytest.FixtureRequest) -> Pack:
    number, longest = request.param
    dice = random.Random(5)  # noqa: S311 - lengths

    def some(most: int) -> tuple[int, ...]:
        return tuple(dice.randrange(3, 99) for _ in range(dice.randint(1, most)))

    groups = [
        TokenGroup(
            prompt_id=str(at),
            prompt=some(longest),
            responses=tuple(some(longest // 2) for _ in range(at % 4)),
        )
        for at in range(number)
    ]
    return pack_groups(groups).to(CUDA)


def model(dtype: torch.dtype) -> LlamaForCausalLM:
    """Nine heads on three of keys and values, as SmolLM2 has them."""
    config = LlamaConfig(
        vocab_size=99,
        hidden_size=288,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=9,
        num_key_value_heads=3,
        initializer_range=0.1,
    )
    torch.manual_seed(0)
    made = LlamaForCausalLM(config).to(CUDA, dtype).eval()
    use_prefix_tree(made)
    return made


def states_and_gradients(
    one: LlamaForCausalLM, pack: Pack, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> list[Tensor]:
    monkeypatch.setenv("CONCORD_ATTENTION", "sdpa" if kernel == "padded" else kernel)
    states = tree_hidden(one.model, pack.tree, is_tree=kernel != "padded")
    weights = list(one.model.parameters())
    direction = torch.randn(states.shape, generator=torch.Generator().manual_seed(1)).to(states)
    return [states.detach(), *torch.autograd.grad((states * direction).sum(), weights)]


def gap(found: list[Tensor], right: list[Tensor]) -> float:
    """The largest ‖found - right‖ / ‖right‖."""
    pairs = zip(found, right, strict=True)
    return max(float((a.double() - b.double()).norm() / b.double().norm()) for a, b in pairs)


def test_kernels_equal_padded_rows(
    pack: Pack, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    one = model(torch.float32)
    padded = states_and_gradients(one, pack, monkeypatch, "padded")
    assert gap(states_and_gradients(one, pack, monkeypatch, kernel), padded) < 1e-4


def test_in_bfloat16_kernels_err_no_more_than_padded_rows(
    pack: Pack, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    half = model(torch.bfloat16)
    whole = model(torch.float32)
    whole.load_state_dict(half.state_dict())  # the rounded weights
    right = states_and_gradients(whole, pack, monkeypatch, "padded")
    usual = gap(states_and_gradients(half, pack, monkeypatch, "padded"), right)
    found = gap(states_and_gradients(half, pack, monkeypatch, kernel), right)
    assert found < max(1.5 * usual, 0.02)
