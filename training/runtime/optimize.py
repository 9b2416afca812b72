"""AdamW over the trainable weights, in float32 whatever the model computes in.

A bfloat16 weight has 8 bits of precision: at a learning rate of 1e-5 nearly every update rounds
to nothing. So each such weight has a float32 master here, which takes the updates and is
rounded back into the model. Gradients add up in the masters too.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.functional.schedules import rate_factor
from training.runtime.distributed import sum_gradients, summed
from training.runtime.sharding import gathered, own, own_gradient, part_of
from training.spec.base import RunSpec
from training.spec.errors import Diverged, ModelError, SpecError

Learn = Callable[[Tensor], object]  # what is done with a part of a loss
EPSILON = 1e-5  # of Adam, as in the RLHF papers (Huang 2024)
BETAS = (0.9, 0.95)


def only_look(_loss: Tensor) -> None:
    """A loss that is measured, and teaches nothing."""


def choose_trainable(model: Any, *, top_layers: int) -> dict[str, nn.Parameter]:
    """Freeze all but the top N transformer layers, the last norm and heads; 0 trains all.

    ``model`` is a transformers model (Any: their classes share no typed layers). Adapters that are
    already in it keep their own choice. Returns the trainable weights by name.
    """
    if top_layers:
        _freeze_below(model, top_layers)
    trainable = {name: one for name, one in model.named_parameters() if one.requires_grad}
    if not trainable:
        raise SpecError("trainable_layers: nothing is left to train; choose more layers.")
    return trainable


def transformer_layers(model: Any) -> nn.ModuleList:  # Any: as above
    """The layers of the transformer from the bottom up, under the name its family gives them."""
    backbone = model.base_model
    inner = (getattr(backbone, one, None) for one in ("encoder", "transformer"))
    for owner, name in ((backbone, "layers"), (backbone, "h"), *((one, "layer") for one in inner)):
        if isinstance(layers := getattr(owner, name, None), nn.ModuleList):
            return layers
    raise ModelError(f"The {model.config.model_type} family has no list of layers to choose from.")


def recompute_layers(model: Any) -> None:  # Any: as above
    """Let each layer but the last keep only what enters it, and compute the rest again for its gradient.

    The last one may be passed at some places alone (`models.trimmed`), and keeps what it has: one layer's.
    """
    for layer in list(transformer_layers(model))[:-1]:
        layer.forward = partial(_recomputed, layer.forward)
        for (
            part
        ) in layer.modules():  # what a part chooses to keep by hooks of its own, it would keep here
            part.is_recomputed = True  # type: ignore[assignment] # torch types parts and tensors alone


def _recomputed(forward: Callable[..., Any], *args: Any, **named: Any) -> Any:  # Any: a layer's own
    if not torch.is_grad_enabled():
        return forward(*args, **named)
    return checkpoint(forward, *args, use_reentrant=False, **named)


def keep_lowest_layers(model: Any, count: int) -> None:  # Any: as above
    """Take the layers above the lowest ``count`` away, from the config too. Raises SpecError."""
    layers = transformer_layers(model)
    if count > len(layers):
        raise SpecError(f"layers: {count} of the backbone's {len(layers)} cannot be kept.")
    del layers[count:]
    model.config.num_hidden_layers = count
    if kinds := getattr(model.config, "layer_types", None):
        model.config.layer_types = kinds[:count]


def _freeze_below(model: Any, top_layers: int) -> None:  # Any: as above
    layers = transformer_layers(model)
    if top_layers >= len(layers):
        return
    kept = {id(one) for layer in layers[-top_layers:] for one in layer.parameters()}
    inner = {id(one) for layer in layers for one in layer.parameters()}
    embedding = {id(one) for one in model.get_input_embeddings().parameters()}
    is_past_first = False  # what comes before the layers lies below them: embeddings of places too
    for parameter in model.parameters():
        place = id(parameter)
        is_past_first |= place in inner
        if place not in kept and (place in inner or place in embedding or not is_past_first):
            parameter.requires_grad_(False)


class Optimizer:
    """Masters, AdamW and the schedule: `backward` adds gradients up, `step` applies them."""

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        spec: RunSpec,
        *,
        steps: int,
    ) -> None:
        """``steps`` are those of the whole run: the learning rate rises and falls over them."""
        self.steps_done = 0
        self._spec = spec
        self._steps = steps
        self._parameters = dict(parameters)
        self._masters = {name: _master(one) for name, one in parameters.items()}
        self._adam = torch.optim.AdamW(
            self._masters.values(),
            lr=spec.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            weight_decay=spec.weight_decay,
            fused=True,  # one pass over the weights instead of a dozen
        )

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of one forward pass to those of the step."""
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.collect()

    def collect(self) -> None:
        """Take up the gradients that a loss left in the weights (of another optimizer's too)."""
        for name, parameter in self._parameters.items():
            master = self._masters[name]
            told = own_gradient(parameter)
            if told is None or master is parameter:
                continue
            gradient = told.float()
            master.grad = gradient if master.grad is None else master.grad + gradient
            parameter.grad = None

    def drop(self) -> None:
        """Forget the gradients of a step that is not taken."""
        self._adam.zero_grad()

    def step(self) -> Tensor:
        """Sum over processes, clip, update, round back; the norm before clipping.

        Raises Diverged when it is not finite.
        """
        norm = self._summed_norm()
        nn.utils.clip_grads_with_norm_(self._masters.values(), self._spec.max_grad_norm, norm)
        if not torch.isfinite(norm):
            raise Diverged(
                f"The gradient is no longer finite at step {self.steps_done + 1}. "
                "Lower learning_rate or raise warmup_share, and start again."
            )
        for group in self._adam.param_groups:
            group["lr"] = self.learning_rate
        self._adam.step()
        self._adam.zero_grad()
        self._round_back()
        self.steps_done += 1
        return norm

    def _summed_norm(self) -> Tensor:
        """The norm of the gradients, summed over processes; those of sharded weights are already."""
        is_split = {name: own(one) is not one for name, one in self._parameters.items()}
        parts = [one for name, one in self._masters.items() if is_split[name]]
        whole = [one for name, one in self._masters.items() if not is_split[name]]
        sum_gradients(whole)
        norm = nn.utils.get_total_norm([one.grad for one in whole if one.grad is not None])
        if not parts:
            return norm
        theirs = nn.utils.get_total_norm([one.grad for one in parts if one.grad is not None])
        return (norm.square() + summed(theirs.square())).sqrt()

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        factor = rate_factor(
            self.steps_done,
            total=self._steps,
            warmup_share=self._spec.warmup_share,
            fall=self._spec.schedule,
        )
        return self._spec.learning_rate * factor

    @torch.no_grad()
    def _round_back(self) -> None:
        for name, parameter in self._parameters.items():
            if self._masters[name] is not parameter:
                own(parameter).copy_(self._masters[name])

    def tensors(self) -> dict[str, Tensor]:
        """Masters and Adam's moments by name, for a checkpoint: whole in the first process, which writes it."""
        saved = {}
        for name, master in self._masters.items():
            for key, value in {"": master, **self._adam.state[master]}.items():
                place = f"adam.{key}.{name}" if key else f"master.{name}"
                saved[place] = gathered(value, self._parameters[name])
        return saved

    def restore(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        """Set everything back to a checkpoint of the same model and spec."""
        missing = [name for name in self._masters if f"master.{name}" not in tensors]
        if missing:
            raise ModelError(f"The checkpoint lacks {missing[0]}; it is of another model or spec.")
        self.steps_done = steps_done
        for name, master in self._masters.items():
            like = self._parameters[name]
            master.data.copy_(part_of(tensors[f"master.{name}"], like))
            state = {
                key: part_of(tensors[f"adam.{key}.{name}"], like).clone().to(master.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"adam.{key}.{name}" in tensors
            }
            self._adam.state[master] = state
        self._round_back()


def _master(parameter: nn.Parameter) -> Tensor:
    """A float32 weight is its own master; of a sharded one, the part that this process keeps."""
    part = own(parameter)
    if part.dtype == torch.float32:
        return part if part is parameter else part.requires_grad_()
    return part.detach().float().requires_grad_()
