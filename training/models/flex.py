"""FlexAttention for rows of trees: one call for the whole row, blocks without an attended pair skipped.

`CONCORD_ATTENTION=flex` asks for it. On CUDA the kernel is compiled as it is first needed, once for each kind
of shapes; on a CPU (tests) it runs uncompiled.

Shapes: T tokens of a row.
"""

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from training.spec.errors import ModelError

SMALLEST_HEAD = 16  # that the kernel takes
# Of policy and reward model, with and without gradients, of rows shorter than a block.
KINDS_OF_SHAPES = 64

Attention = Callable[..., Any]  # Any: the row, and what torch types beside it


class Span(Protocol):
    """Where one tree lies in the row: its prompt's length, its branches' lengths."""

    @property
    def prompt(self) -> int: ...

    @property
    def branches(self) -> tuple[int, ...]: ...


def why_not_flexible(head_size: int) -> str:
    """Why the kernel cannot be compiled for CUDA here, as a sentence; '' if it can."""
    if head_size < SMALLEST_HEAD:
        return f"FlexAttention takes heads of {SMALLEST_HEAD} and more; these have {head_size}."
    return _missing_for_compiling()


@cache
def _missing_for_compiling() -> str:
    """What triton needs to build a kernel; '' where all is there."""
    if importlib.util.find_spec("triton") is None:
        return "FlexAttention needs the package triton, which is not installed."
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "FlexAttention is compiled on the spot, and no C compiler is installed."
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "FlexAttention is compiled on the spot, and Python's headers are not installed."
    return ""


def tree_block_mask(spans: Sequence[Span], root: int, device: torch.device) -> BlockMask:
    """Which blocks of a row attend which, made once a batch and shared by all layers.

    A token attends, causally, to the first ``root`` tokens of the row, to the prompt of its own tree
    (its branch 0) and to its own branch.
    """
    pieces = [(tree, at) for tree, span in enumerate(spans) for at in range(1 + len(span.branches))]
    pieces = [(len(spans), 0), *pieces]  # the root, a tree of its own
    lengths = torch.tensor([root, *(n for span in spans for n in (span.prompt, *span.branches))])
    tree_T, branch_T = (
        torch.tensor(column).repeat_interleave(lengths).to(device)
        for column in zip(*pieces, strict=True)
    )

    def attends(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        is_before = (branch_T[key] == 0) | (branch_T[key] == branch_T[query])
        is_own = (tree_T[key] == tree_T[query]) & is_before
        return (key <= query) & (is_own | (key < root))

    size = len(tree_T)
    return create_block_mask(attends, None, None, size, size, device=device)


def flexible_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: BlockMask, *, scale: float | None
) -> Tensor:
    """Attention [1, heads, T, d] of a row; keys and values may have fewer heads than queries."""
    told: dict[str, Any] = {  # Any: what torch takes beside the row
        "block_mask": mask,
        "scale": scale,
        "enable_gqa": key.shape[1] != query.shape[1],
    }
    attend: Attention = flex_attention
    if query.is_cuda:
        attend = _compiled
    made: Tensor = attend(query, key, value, **told)
    return made


def _compiled(query: Tensor, key: Tensor, value: Tensor, **told: Any) -> Any:  # Any: as above
    from torch._dynamo.exc import TorchDynamoException

    try:
        return _kernel()(query, key, value, **told)
    except TorchDynamoException as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"FlexAttention could not be compiled here ({reason}). "
            "Set CONCORD_ATTENTION=sdpa, which compiles nothing, and resume."
        ) from error


@cache
def _kernel() -> Attention:
    """Rows differ in length, so their sizes are symbols."""
    from torch import _dynamo

    _dynamo.config.recompile_limit = max(_dynamo.config.recompile_limit, KINDS_OF_SHAPES)
    made: Attention = torch.compile(flex_attention, dynamic=True)
    return made
