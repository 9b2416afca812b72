"""LoRA adapters by peft: low-rank updates beside frozen weights, merged into them when saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from training.runtime.optimize import choose_trainable, transformer_layers
from training.spec.errors import ModelError
from training.spec.runs import RunSpec


def trainable_weights(model: Any, spec: RunSpec) -> dict[str, nn.Parameter]:  # Any: as below
    """The weights that the spec trains, by name: adapters, put in here, or the top layers."""
    if spec.lora_rank:
        add_lora(model, spec)
    return choose_trainable(model, top_layers=0 if spec.lora_rank else spec.trainable_layers)


def add_lora(model: Any, spec: RunSpec) -> None:  # Any: transformers' models share no typed forward
    """Put adapters into all linear layers of the (top) transformer layers; the rest is frozen.

    Heads that are not part of the backbone (a reward's score) stay trainable.
    """
    layers = transformer_layers(model)
    top = layers[-(spec.trainable_layers or len(layers)) :]
    wanted = {id(one) for layer in top for one in layer.modules() if isinstance(one, nn.Linear)}
    config = LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,  # type: ignore[arg-type] # a factor; any number serves
        lora_dropout=spec.lora_dropout,
        target_modules=[name for name, one in model.named_modules() if id(one) in wanted],
    )
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise ModelError(f"LoRA cannot be added to this model: {error}.") from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    if head := getattr(model, "score", None):
        head.requires_grad_(True)


@contextmanager
def adapters_off(model: Any) -> Iterator[None]:  # Any: as above
    """The model without its adapters: the reference policy in the memory of the policy."""
    adapters = [one for one in model.modules() if isinstance(one, BaseTunerLayer)]
    for one in adapters:
        one.enable_adapters(False)
    try:
        yield
    finally:
        for one in adapters:
            one.enable_adapters(True)


def merge_lora(model: Any) -> None:  # Any: as above
    """Fold the adapters into the weights and take them out: a plain model again."""
    names = [name for name, one in model.named_modules() if isinstance(one, BaseTunerLayer)]
    for name in names:
        parent_name, _, child = name.rpartition(".")
        adapter = model.get_submodule(name)
        adapter.merge()
        setattr(model.get_submodule(parent_name), child, adapter.get_base_layer())
