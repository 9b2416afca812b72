import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from training.models.load import LoadedModel
from training.models.tiny import tiny_llama
from training.runtime.optimize import Optimizer, choose_trainable
from training.spec.errors import Diverged, ModelError
from training.spec.preferences import RewardModelSpec


def optimizer(weight: nn.Parameter, **settings: float) -> Optimizer:
    spec = RewardModelSpec(model="m", data="d", warmup_share=0.0, **settings)
    return Optimizer({"weight": weight}, spec, steps=10**9)


def test_small_updates_add_up_in_bfloat16() -> None:
    """Ten updates of 1e-4 on 1.0: each alone rounds to nothing, together they are 0.999."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    steps = optimizer(weight, learning_rate=1e-3)
    for _ in range(10):
        steps.backward(weight.sum())
        steps.step()
    assert weight.item() == pytest.approx(0.99, abs=4e-3)


def test_gradients_of_a_step_add_up() -> None:
    """d/dw (w^2) = 2 at w = 1, twice: the norm is 4."""
    weight = nn.Parameter(torch.ones(1))
    steps = optimizer(weight)
    steps.backward(weight.square().sum())
    steps.backward(weight.square().sum())
    assert steps.step().item() == pytest.approx(4.0)


def test_a_gradient_that_is_not_finite_stops_the_run_and_changes_nothing() -> None:
    weight = nn.Parameter(torch.ones(1))
    steps = optimizer(weight)
    steps.backward((weight * float("inf")).sum())
    with pytest.raises(Diverged, match="learning_rate"):
        steps.step()
    assert weight.item() == 1.0


def test_a_restored_optimizer_takes_the_same_steps() -> None:
    weight, twin = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    steps, again = optimizer(weight), optimizer(twin)
    steps.backward(weight.square().sum())
    steps.step()
    saved = {name: one.clone() for name, one in steps.tensors().items()}
    again.restore(saved, steps_done=1)
    for one, place in ((steps, weight), (again, twin)):
        one.backward(place.square().sum())
        one.step()
    assert torch.equal(weight, twin)


def test_a_checkpoint_of_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="weight"):
        optimizer(nn.Parameter(torch.ones(1))).restore({}, steps_done=1)


def test_only_the_top_layers_and_the_last_norm_are_trained() -> None:
    chosen = choose_trainable(tiny_llama(), top_layers=1)
    assert {name.split(".")[1] + "." + name.split(".")[2] for name in chosen} == {
        "layers.1",
        "norm.weight",
    }


def test_embeddings_of_places_lie_below_all_layers() -> None:
    config = GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4)
    chosen = choose_trainable(GPT2LMHeadModel(config), top_layers=1)
    places = {name.removeprefix("transformer.").split(".")[0] for name in chosen}
    assert places == {"h", "ln_f"}
    assert not [name for name in chosen if ".h.0." in name]


def test_all_weights_are_trained_by_default(tiny_policy: LoadedModel) -> None:
    chosen = choose_trainable(tiny_policy.model, top_layers=0)
    assert len(chosen) == len(list(tiny_policy.model.parameters()))
