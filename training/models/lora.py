"""LoRA adapters by peft: low-rank updates beside frozen weights, merged into them when saved.

peft takes most of a second to load, and is loaded where there are adapters alone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from training.models.load import DTYPES, LoadedModel, load_policy, save_model
from training.runtime.checkpoint import draft_of
from training.runtime.distributed import rank
from training.runtime.optimize import choose_trainable, recompute_layers, transformer_layers
from training.runtime.run import Run
from training.runtime.sharding import gathered, is_sharded, is_sharding, own, shard_layers
from training.spec.base import RunSpec
from training.spec.errors import ModelError

ACTIVE = "default"  # peft's name for the only adapter
PEFT_PREFIX = "base_model.model."
ADAPTER_DIR = "adapter"
ADAPTER_FILE = "adapter_model.safetensors"
HEADS = ("score", "classifier")
CPU = torch.device("cpu")


def trainable_weights(model: Any, spec: RunSpec) -> dict[str, nn.Parameter]:  # Any: as below
    """The weights that the spec trains, by name: adapters, put in here, or the top layers."""
    if spec.lora_rank:
        add_lora(model, spec)
    top_layers = 0 if spec.lora_rank else spec.trainable_layers
    weights = choose_trainable(model, top_layers=top_layers)
    if spec.gradient_checkpointing:
        recompute_layers(model)
    if not is_sharding(spec):
        return weights
    shard_layers(transformer_layers(model), model.device)
    return {name: one for name, one in model.named_parameters() if name in weights}


def unsharded(
    loaded: LoadedModel, spec: RunSpec, load: Callable[[], LoadedModel]
) -> LoadedModel | None:
    """A plain model with the trained weights, on the first process; None on the others.

    Where nothing is sharded every process has the model itself. ``load`` makes it as the run began.
    """
    if not is_sharded(loaded.model):
        return loaded
    trained = {
        name: gathered(own(one.detach()), one)
        for name, one in loaded.model.named_parameters()
        if one.requires_grad
    }
    if rank():
        return None
    plain = load()
    if spec.lora_rank:
        add_lora(plain.model, spec)
    for name, one in plain.model.named_parameters():
        if name in trained:
            one.data.copy_(trained[name])
    return plain


def add_lora(model: Any, spec: RunSpec) -> None:  # Any: transformers' models share no typed forward
    """Put adapters into all linear layers of the (top) transformer layers; the rest is frozen.

    Heads that are not part of the backbone (a reward's score) stay trainable.
    """
    from peft import LoraConfig, inject_adapter_in_model

    layers = transformer_layers(model)
    top = layers[-(spec.trainable_layers or len(layers)) :]
    wanted = {
        id(one)
        for layer in top
        for one in layer.modules()
        if isinstance(
            one, nn.Linear | Conv1D
        )  # Conv1D: a linear layer of GPT-2, its weight transposed
    }
    config = LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,  # type: ignore[arg-type] # a factor; any number serves
        lora_dropout=spec.lora_dropout,
        target_modules=[name for name, one in model.named_modules() if id(one) in wanted],
        fan_in_fan_out=any(isinstance(one, Conv1D) for one in top.modules()),
    )
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise ModelError(f"LoRA cannot be added to this model: {error}.") from error
    model.train(
        model.training
    )  # which new layers do not follow: they would drop out in a model at rest
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    if name := head_name(model):
        model.get_submodule(name).requires_grad_(True)


def head_name(model: Any) -> str:  # Any: as above
    """Where a classifier has its scores; '' for a policy."""
    return next((name for name in HEADS if isinstance(getattr(model, name, None), nn.Linear)), "")


@contextmanager
def adapters_off(model: Any) -> Iterator[None]:  # Any: as above
    """The model without its adapters: the reference policy in the memory of the policy."""
    adapters = adapted_layers(model).values()
    for one in adapters:
        one.enable_adapters(False)
    try:
        yield
    finally:
        for one in adapters:
            one.enable_adapters(True)


def adapted_layers(model: Any) -> dict[str, Any]:  # Any: as above, and peft's layers
    """The layers that have an adapter, by name."""
    if not any("lora_" in name for name, _ in model.named_parameters()):
        return {}
    from peft.tuners.lora import LoraLayer

    return {name: one for name, one in model.named_modules() if isinstance(one, LoraLayer)}


class Adapter:
    """Trained adapters apart from the model that they were merged into: small, and loadable by peft."""

    def __init__(self, model: Any) -> None:  # Any: as above
        from peft import LoraConfig

        found = adapted_layers(model)
        layer = next(iter(found.values()))
        self._config = LoraConfig(
            r=layer.r[ACTIVE],
            lora_alpha=layer.lora_alpha[ACTIVE],
            target_modules=list(found),
            task_type="CAUSAL_LM" if model.can_generate() else "SEQ_CLS",
            modules_to_save=[name for name in (head_name(model),) if name] or None,
            fan_in_fan_out=layer.fan_in_fan_out,
            base_model_name_or_path=model.name_or_path,
            inference_mode=True,
        )
        self._tensors = {
            f"{PEFT_PREFIX}{name.replace(f'.{ACTIVE}', '')}": gathered(own(one.detach()), one)
            .cpu()
            .clone()
            .contiguous()
            for name, one in model.named_parameters()
            if "lora_" in name
        }

    def save(self, folder: Path, *, head: Mapping[str, Tensor] | None = None) -> None:
        """`adapter_config.json` and `adapter_model.safetensors`; ``head`` are a classifier's weights."""
        folder.mkdir(parents=True, exist_ok=True)
        self._config.save_pretrained(str(folder))
        heads = {f"{PEFT_PREFIX}{name}": one.cpu() for name, one in (head or {}).items()}
        save_file(self._tensors | heads, folder / ADAPTER_FILE)

    def add_to(self, model: Any) -> None:  # Any: as above
        """Add the updates to a model without adapters: what merging does, on weights in full precision."""
        scale = self._config.lora_alpha / self._config.r
        for name in self._config.target_modules or ():
            layer = model.get_submodule(name)
            down, up = (self._tensors[f"{PEFT_PREFIX}{name}.lora_{side}.weight"] for side in "AB")
            update_OI = (scale * (up.float() @ down.float())).to(layer.weight.device)
            update = update_OI.T if isinstance(layer, Conv1D) else update_OI
            layer.weight.data = (layer.weight.data.float() + update).to(layer.weight.dtype)


def publish_policy(
    run: Run, policy: LoadedModel, spec: RunSpec, *, beside: Callable[[Path], None] | None = None
) -> None:
    """The policy as a plain folder, and beside it its adapters alone where it has some.

    Sharded weights are gathered on the first process, which writes; the others keep their parts.
    ``beside`` writes what else belongs into the folder.
    """

    def load(device: torch.device) -> LoadedModel:
        return load_policy(spec.model, precision=precision_of(policy.model), device=device)

    if spec.quantize != "none":
        final, adapter = merged_on_the_cpu(run, policy, load)
    else:
        whole = unsharded(policy, spec, lambda: load(policy.device))
        final, adapter = (whole, merge_lora(whole.model)) if whole else (policy, None)

    def write(folder: Path) -> None:
        save_model(final, folder)
        if adapter:
            adapter.save(folder / ADAPTER_DIR)
        if beside:
            beside(folder)

    run.publish(write)


def merged_on_the_cpu(
    run: Run,
    loaded: LoadedModel,
    load: Callable[[torch.device], LoadedModel],
    *,
    head: Mapping[str, Tensor] | None = None,
) -> tuple[LoadedModel, Adapter | None]:
    """A model beside whose weights in 4 bits adapters were trained, as a plain one: the base with the updates.

    Weights in 4 bits are not merged into, and the device may have no room for others: ``load`` makes the base
    in main memory. The adapter is written to the run's folder first: it is all that was learned. Of several
    processes the first does it.
    """
    if rank():
        return loaded, None
    adapter = Adapter(loaded.model)
    with draft_of(run.folder / ADAPTER_DIR) as draft:
        adapter.save(draft, head=head)
    plain = load(CPU)
    adapter.add_to(plain.model)
    return plain, adapter


def precision_of(model: Any) -> str:  # Any: as above
    """The number format of its weights (beside 4 bits: of those that are whole), as the spec calls it."""
    return next(name for name, dtype in DTYPES.items() if dtype == model.dtype)


def starting_policy(spec: RunSpec, device: torch.device) -> LoadedModel:
    """The policy that a run began with, held as it was while it trained."""
    return load_policy(spec.model, precision=spec.precision, device=device, quantize=spec.quantize)


def trained_policy(run: Run, spec: RunSpec, device: torch.device) -> LoadedModel:
    """The policy that a run published; beside weights in 4 bits, these with its adapter, as it was trained."""
    if spec.quantize == "none":
        return load_policy(str(run.artifact), precision=spec.precision, device=device)
    policy = starting_policy(spec, device)
    put_adapter(policy.model, adapter_of(run), spec)
    return policy


def adapter_of(run: Run) -> Path:
    """Where a run's adapter lies: in its folder, else beside the artifact. Raises ModelError where in neither."""
    for folder in (run.folder / ADAPTER_DIR, run.artifact / ADAPTER_DIR):
        if (folder / ADAPTER_FILE).is_file():
            return folder
    raise ModelError(
        f"{run.folder} has no {ADAPTER_DIR}/{ADAPTER_FILE}, with which its model is measured in 4 bits. Put it back, "
        "or run it anew."
    )


def put_adapter(model: Any, folder: Path, spec: RunSpec) -> None:  # Any: as above
    """Put the adapters of this folder into a model, as the spec had them put."""
    add_lora(model, spec)
    stored = load_file(folder / ADAPTER_FILE)
    for name, one in model.named_parameters():
        if "lora_" in name:
            one.data.copy_(stored[f"{PEFT_PREFIX}{name.replace(f'.{ACTIVE}', '')}"])


def merge_lora(model: Any) -> Adapter | None:  # Any: as above
    """Fold the adapters into the weights and take them out: a plain model again.

    The adapters come back on their own; None where the model has none.
    """
    layers = adapted_layers(model)
    adapter = Adapter(model) if layers else None
    for name, layer in layers.items():
        parent_name, _, child = name.rpartition(".")
        layer.merge()
        setattr(model.get_submodule(parent_name), child, layer.get_base_layer())
    return adapter
