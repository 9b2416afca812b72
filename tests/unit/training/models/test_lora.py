import pytest
import torch

from training.models.load import LoadedModel
from training.models.lora import adapters_off, add_lora, merge_lora
from training.runtime.optimize import choose_trainable
from training.spec.runs import SftSpec

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture
def adapted(tiny_policy: LoadedModel) -> LoadedModel:
    add_lora(tiny_policy.model, SftSpec(model="m", data="d", lora_rank=2, trainable_layers=1))
    return tiny_policy


def shake(policy: LoadedModel) -> None:
    for one in choose_trainable(policy.model, top_layers=0).values():
        torch.nn.init.normal_(one, std=0.1)


def test_only_adapters_of_the_top_layers_are_trained(adapted: LoadedModel) -> None:
    names = list(choose_trainable(adapted.model, top_layers=0))
    assert names
    assert all("layers.1." in name and "lora_" in name for name in names)


def test_fresh_adapters_change_nothing(adapted: LoadedModel) -> None:
    with adapters_off(adapted.model):
        plain = adapted.model(IDS).logits
    assert torch.equal(adapted.model(IDS).logits, plain)


def test_the_reference_is_the_model_with_adapters_off(adapted: LoadedModel) -> None:
    with adapters_off(adapted.model):
        before = adapted.model(IDS).logits
    shake(adapted)
    with adapters_off(adapted.model):
        assert torch.equal(adapted.model(IDS).logits, before)
    assert not torch.equal(adapted.model(IDS).logits, before)


def test_merging_leaves_a_plain_model_that_predicts_the_same(adapted: LoadedModel) -> None:
    shake(adapted)
    expected = adapted.model(IDS).logits
    merge_lora(adapted.model)
    torch.testing.assert_close(adapted.model(IDS).logits, expected, atol=1e-5, rtol=1e-5)
    assert not [name for name in adapted.model.state_dict() if "lora" in name]
