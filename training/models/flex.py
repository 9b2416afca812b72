"""FlexAttention for rows of trees: one call for the whole row, blocks without an attended pair skipped.

`CONCORD_ATTENTION=flex` asks for it. On CUDA the kernel is compiled once for each shape class; on a
CPU (tests) it runs uncompiled.

Shapes: T tokens of a row.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

Attention = Callable[..., Any]  # Any: the row, and what torch types beside it


class Span(Protocol):
    """Where one tree lies in the row: its prompt's length, its branches' lengths."""

    @property
    def prompt(self) -> int: ...

    @property
    def branches(self) -> tuple[int, ...]: ...


def tree_block_mask(spans: Sequence[Span], device: torch.device) -> BlockMask:
    """Which blocks of a row attend which, made once a batch and shared by all layers.

    A token attends, causally, to the prompt of its own tree (its branch 0) and to its own branch.
    """
    pieces = [(tree, at) for tree, span in enumerate(spans) for at in range(1 + len(span.branches))]
    lengths = torch.tensor([n for span in spans for n in (span.prompt, *span.branches)])
    tree_T, branch_T = (
        torch.tensor(column).repeat_interleave(lengths).to(device)
        for column in zip(*pieces, strict=True)
    )

    def attends(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        is_own = (branch_T[key] == 0) | (branch_T[key] == branch_T[query])
        return (key <= query) & (tree_T[key] == tree_T[query]) & is_own

    size = len(tree_T)
    return create_block_mask(attends, None, None, size, size, device=device)


def flexible_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: BlockMask, *, scale: float | None
) -> Tensor:
    """Attention [1, heads, T, d] of a row; keys and values may have fewer heads than queries."""
    attend: Attention = flex_attention
    if query.is_cuda:
        attend = _compiled()
    made: Tensor = attend(
        query,
        key,
        value,
        block_mask=mask,
        scale=scale,
        enable_gqa=key.shape[1] != query.shape[1],
    )
    return made


@cache
def _compiled() -> Attention:
    """Compiled when it is first needed: rows differ in length, so their sizes are symbols."""
    made: Attention = torch.compile(flex_attention, dynamic=True)
    return made
