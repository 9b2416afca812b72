"""A device that is no CPU, on a CPU: where tensors of both meet, it fails as a GPU does.

A tensor `on` it says that it lies on `cuda:0`; its numbers are an ordinary tensor's. Every operation of torch is
computed on those, after a look at where each tensor lies: an operation takes tensors of one device, and besides
them only a number without dimensions, as on a GPU.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

from training.models import load
from training.models.load import LoadedModel

SECOND = torch.device("cuda", 0)
CPU = torch.device("cpu")
COPIES = (
    "aten._to_copy",
    "aten.to",
    "aten.copy_",
    "aten.copy",
)  # what may take from one device to the other
# Places on the CPU may pick from a tensor of another device, but not the other way round.
PICKING = ("aten.index", "aten.index_put", "aten.index_put_", "aten._unsafe_index")


class OnSecond(Tensor):
    """A tensor that says it lies on the second device; ``plain`` has its numbers."""

    plain: Tensor

    @staticmethod
    def __new__(cls, plain: Tensor) -> "OnSecond":
        made: OnSecond = Tensor._make_wrapper_subclass(
            cls,
            plain.shape,
            strides=plain.stride(),
            storage_offset=plain.storage_offset(),
            dtype=plain.dtype,
            device="meta",  # which torch has a guard for, and whose gradients it can take
        )
        made.plain = plain
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override] # what Python sees
        return SECOND

    @property
    def is_cuda(self) -> bool:  # type: ignore[override] # as above
        return True

    @property
    def data(self) -> Tensor:  # type: ignore[override] # as above
        return OnSecond(self.plain)

    @data.setter
    def data(self, other: Tensor) -> None:
        assert isinstance(other, OnSecond)
        self.plain = other.plain

    def __repr__(self, **_: Any) -> str:
        return f"OnSecond({self.plain!r})"

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Any,
        _types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return computed(func, args, dict(kwargs or {}))

    def __getitem__(self, at: Any) -> Tensor:
        return Tensor.__getitem__(self, torch.tensor(at) if isinstance(at, list) else at)

    def new_tensor(self, data: Any, **named: Any) -> Tensor:
        return OnSecond(self.plain.new_tensor(data, **named))

    def tolist(self) -> Any:
        return self.plain.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("A tensor of the second device has no numpy; take .cpu() first.")


def computed(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The operation on the plain numbers; what comes of it lies where its tensors lay, or where it was told to."""
    name = str(func).rsplit(".", 1)[0]
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
    told = next(
        (one for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.device)), None
    )
    is_second = any(isinstance(one, OnSecond) for one in tensors)
    if name not in COPIES:
        refuse_mixed(name, tensors, args)
    if told is not None:
        is_second = told.type in {SECOND.type, "meta"}
    elif name == "aten.copy_":
        is_second = isinstance(args[0], OnSecond)
    plain_args, plain_kwargs = tree_map(_plain, (tuple(args), kwargs))
    result = func(*plain_args, **plain_kwargs)
    known = {id(one.plain): one for one in tensors if isinstance(one, OnSecond)}

    def placed(one: Any) -> Any:
        if not isinstance(one, Tensor) or not is_second:
            return one
        return known[id(one)] if id(one) in known else OnSecond(one)

    return tree_map(placed, result)


def refuse_mixed(name: str, tensors: Sequence[Tensor], args: Sequence[Any]) -> None:
    assert not any(one.is_meta and not isinstance(one, OnSecond) for one in tensors), name
    here = [one for one in tensors if isinstance(one, OnSecond)]
    there = [one for one in tensors if not isinstance(one, OnSecond) and one.dim()]
    if not here or not there:
        return
    if name in PICKING and isinstance(args[0], OnSecond):
        return
    shapes = ", ".join(str(tuple(one.shape)) for one in there)
    raise RuntimeError(f"{name}: tensors {shapes} are on cpu, the others on {SECOND}.")


def _plain(one: Any) -> Any:
    if isinstance(one, torch.device):
        return CPU
    return one.plain if isinstance(one, OnSecond) else one


class _Placing(TorchDispatchMode):
    """Makes and moves tensors where their `device` says."""

    def __torch_dispatch__(
        self,
        func: Any,
        _types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return computed(func, args, dict(kwargs or {}))


def attention(  # noqa: PLR0917 - the signature of torch
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """SDPA in plain operations: torch would choose a kernel by the device that it does not have."""
    if enable_gqa:
        heads = query.shape[-3] // key.shape[-3]
        key, value = (one.repeat_interleave(heads, dim=-3) for one in (key, value))
    scores = query @ key.transpose(-2, -1) * (scale or query.shape[-1] ** -0.5)
    if is_causal:
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
        scores = scores.masked_fill(~causal, -torch.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return functional.dropout(scores.softmax(-1).nan_to_num(0.0), dropout_p) @ value


def _tensor(
    plainly: Callable[..., Tensor], data: Any, *, device: Any = None, **named: Any
) -> Tensor:
    """`torch.tensor`, which asks no mode where to put its numbers."""
    made = plainly(data, **named)
    return made if device is None else made.to(device)


def _loaded(
    plainly: Callable[..., LoadedModel], *told: Any, device: torch.device, **named: Any
) -> LoadedModel:
    """A model loaded on the CPU, as transformers does, then moved."""
    with _disable_current_modes():
        made = plainly(*told, device=CPU, **named)
    model = made.model.to(device)
    model.tie_weights()  # each weight was moved by itself
    return replace(made, model=model)


@contextmanager
def second_device() -> Iterator[torch.device]:
    """Inside, `to(device)` and `device=` with the device that is handed out reach the second device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch, "tensor", partial(_tensor, torch.tensor))
        patch.setattr(load, "_load", partial(_loaded, load._load))
        patch.setattr(functional, "scaled_dot_product_attention", attention)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            with _Placing():
                yield SECOND
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)
