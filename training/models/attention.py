"""The prefix tree: one prompt and its K responses as one stretch of a row, the prompt only once.

Trees lie end to end in a row of T tokens. A token attends, causally, to the prompt of its own tree
and to its own branch. Positions restart after the prompt for every branch, so a response gets the
hidden states it would have alone. Families whose attention is not plain causal attention run the
same trees as padded rows: equal numbers, more tokens.

Shapes: T tokens of a row, L tokens of a tree, D hidden size, B padded rows, S their length.
"""

import inspect
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from training.models.flex import flexible_attention, tree_block_mask, why_not_flexible
from training.models.trimmed import last_layer_at

PREFIX_TREE = "prefix_tree"
FLEX = "flex"


class TreeSpan(NamedTuple):
    """Where one tree lies in the row: its start, its prompt's length, its branches' lengths."""

    start: int
    prompt: int
    branches: tuple[int, ...]

    @property
    def end(self) -> int:
        return self.start + self.prompt + sum(self.branches)

    def branch_starts(self) -> list[int]:
        """The first token of every branch, counted from the start of the row."""
        starts, at = [], self.start + self.prompt
        for length in self.branches:
            starts.append(at)
            at += length
        return starts


class Tree(NamedTuple):
    """A row of trees: token ids, positions, and where each tree lies."""

    tokens_T: Tensor
    positions_T: Tensor
    spans: tuple[TreeSpan, ...]

    def to(self, device: torch.device) -> "Tree":
        return Tree(self.tokens_T.to(device), self.positions_T.to(device), self.spans)


class TreeMask(NamedTuple):
    """One tree of the row: the lengths of its pieces, and what the tokens of each branch attend to.

    The pieces are the prompt, then the branches; a tree of one branch is a single piece, plainly
    causal. A branch's mask [R, P + R] is over the prompt and itself: branches never meet.
    """

    lengths: tuple[int, ...]
    masks: tuple[Tensor, ...]


def plant_trees(groups: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]) -> Tree:
    """Lay (prompt, responses) groups end to end."""
    tokens: list[int] = []
    positions: list[int] = []
    spans = []
    for prompt, responses in groups:
        lengths = tuple(len(one) for one in responses)
        spans.append(TreeSpan(len(tokens), len(prompt), lengths))
        tokens.extend(prompt)
        positions.extend(range(len(prompt)))
        for response in responses:
            tokens.extend(response)
            positions.extend(range(len(prompt), len(prompt) + len(response)))
    return Tree(torch.tensor(tokens), torch.tensor(positions), tuple(spans))


def tree_masks(tree: Tree, dtype: torch.dtype) -> list[TreeMask]:
    """The masks of a row, made once a batch and shared by all layers; ``dtype`` is that of queries."""
    return [_mask(span, dtype, tree.tokens_T.device) for span in tree.spans]


def _mask(span: TreeSpan, dtype: torch.dtype, device: torch.device) -> TreeMask:
    """0 where a token attends, -inf elsewhere: a mask of truths would be turned into it in every layer."""
    if len(span.branches) <= 1:
        return TreeMask((span.end - span.start,), ())
    masks = tuple(
        torch.full((length, span.prompt + length), -torch.inf, dtype=dtype, device=device).triu_(
            span.prompt + 1
        )
        for length in span.branches
    )
    return TreeMask((span.prompt, *span.branches), masks)


def prefix_tree_attention(  # noqa: PLR0913, PLR0917 - the signature transformers calls
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    tree_masks: list[TreeMask] | BlockMask | None = None,
    **kwargs: Any,  # Any: whatever a family passes to its attention
) -> tuple[Tensor, None]:
    """Attention of a row of trees; without masks of trees, SDPA as ever (generation uses that)."""
    if tree_masks is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **kwargs
        )
        return plain
    if isinstance(tree_masks, BlockMask):
        row = flexible_attention(query, key, value, tree_masks, scale=scaling)
        return row.transpose(1, 2).contiguous(), None
    groups = int(getattr(module, "num_key_value_groups", 1))
    rows = (query, repeat_kv(key, groups), repeat_kv(value, groups))
    # All pieces by one split: a slice's gradient would be a row of zeros, for every piece anew.
    lengths = [length for mask in tree_masks for length in mask.lengths]
    pieces = iter(zip(*(torch.split(row, lengths, dim=2) for row in rows), strict=True))
    outputs = [
        output
        for mask in tree_masks
        for output in _tree_attention(
            [next(pieces) for _ in mask.lengths], mask.masks, dropout_p=dropout, scale=scaling
        )
    ]
    return torch.cat([output.transpose(1, 2) for output in outputs], dim=1), None


def _tree_attention(
    pieces: Sequence[tuple[Tensor, Tensor, Tensor]],
    masks: Sequence[Tensor],
    **settings: Any,  # Any: of SDPA
) -> Iterator[Tensor]:
    """Attention of the prompt's tokens to itself, then of each branch's to the prompt and itself."""
    (query, prompt_key, prompt_value), *branches = pieces
    yield F.scaled_dot_product_attention(
        query, prompt_key, prompt_value, is_causal=True, **settings
    )
    for (query, key, value), mask in zip(branches, masks, strict=True):
        yield F.scaled_dot_product_attention(
            query,
            torch.cat([prompt_key, key], dim=2),
            torch.cat([prompt_value, value], dim=2),
            attn_mask=mask,
            **settings,
        )


def use_prefix_tree(model: Any) -> str:
    """Switch a model to prefix-tree attention; the reason why not, or '' when it is on.

    ``model`` is any transformers model (Any: their classes carry no common typed forward).
    """
    reason = why_padded(model)
    if not reason:
        AttentionInterface.register(PREFIX_TREE, prefix_tree_attention)
        AttentionMaskInterface.register(PREFIX_TREE, sdpa_mask)
        model.set_attn_implementation(PREFIX_TREE)
    return reason


def why_padded(model: Any) -> str:  # Any: as above
    """Why a family cannot be served by prefix trees, as a sentence; '' if it can."""
    config = model.config
    family = config.model_type
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not getattr(model, "_supports_attention_backend", False):
        return f"The {family} family has its own attention code."
    if "position_ids" not in inspect.signature(model.base_model.forward).parameters:
        return f"The {family} family takes no position ids."
    if getattr(config, "is_encoder_decoder", False) or not _is_causal(model):
        return f"The {family} family is not a plain causal decoder."
    if layers != {"full_attention"} or _window(config):
        return f"The {family} family has sliding or linear attention layers."
    if getattr(config, "attn_logit_softcapping", None) or getattr(config, "alibi", False):
        return f"The {family} family changes attention scores (soft cap or ALiBi)."
    return ""


def _is_causal(model: Any) -> bool:  # Any: as above
    flags = [one.is_causal for one in model.modules() if hasattr(one, "is_causal")]
    return bool(flags) and all(flags)


def _window(config: Any) -> bool:  # Any: as above
    has_window = getattr(config, "sliding_window", None) is not None
    return has_window and bool(getattr(config, "use_sliding_window", True))


def tree_hidden(
    backbone: Any,  # Any: as above
    tree: Tree,
    *,
    is_tree: bool,
    entering_TD: Tensor | None = None,
    at_N: Tensor | None = None,
) -> Tensor:
    """Hidden states [T, D] of a row of trees; with ``is_tree`` False through padded rows.

    ``entering_TD`` takes the place of the token embeddings (trees only). With ``at_N`` only the states
    [N, D] at these places come back, and the last layer is computed for them alone.
    """
    if at_N is not None:
        if not is_tree:
            return _padded_hidden(backbone, tree)[at_N]
        with last_layer_at(backbone, at_N):
            return tree_hidden(backbone, tree, is_tree=True, entering_TD=entering_TD)[at_N]
    if not is_tree:
        return _padded_hidden(backbone, tree)
    entry: dict[str, Any] = {"input_ids": tree.tokens_T[None]}  # Any: a model's keyword
    if entering_TD is not None:
        entry = {"inputs_embeds": entering_TD[None]}
    outputs = backbone(
        **entry,
        position_ids=tree.positions_T[None],
        # A 4-D mask is handed on as it is, so that none of size T x T is ever built.
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=tree.tokens_T.device),
        use_cache=False,
        tree_masks=_masks_of(tree, backbone),
    )
    hidden: Tensor = outputs.last_hidden_state[0]
    return hidden


def _masks_of(tree: Tree, backbone: Any) -> list[TreeMask] | BlockMask:  # Any: as above
    """What the row attends to, for the kernel that its device calls for."""
    device = tree.tokens_T.device
    drops = backbone.training and _drops(backbone.config)
    if not drops and kernel_of(backbone, device).name == FLEX:
        return tree_block_mask(tree.spans, device)
    return tree_masks(tree, backbone.dtype)


class Kernel(NamedTuple):
    """What attends a row of trees, and why not FlexAttention where it was asked for; '' else."""

    name: str
    reason: str = ""


def kernel_of(model: Any, device: torch.device) -> Kernel:  # Any: as above
    """SDPA a piece; FlexAttention where `CONCORD_ATTENTION` says flex and the device can have it."""
    if os.environ.get("CONCORD_ATTENTION", "sdpa") != FLEX:
        return Kernel("sdpa")
    reason = why_not_flexible(_head_size(model.config)) if device.type == "cuda" else ""
    return Kernel("sdpa", reason) if reason else Kernel(FLEX)


def _head_size(config: Any) -> int:  # Any: as above
    size: int = (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    return size


def _drops(config: Any) -> bool:  # Any: as above
    """Whether attention has dropout, which FlexAttention has not."""
    return any(getattr(config, name, 0.0) for name in ("attention_dropout", "attn_pdrop"))


class _Row(NamedTuple):
    """One branch as a padded row: the pieces of the tree it is made of."""

    prompt_start: int
    prompt: int
    branch_start: int
    branch: int


def _rows(tree: Tree) -> Iterator[_Row]:
    for span in tree.spans:
        starts, lengths = span.branch_starts() or [span.end], span.branches or (0,)
        for start, length in zip(starts, lengths, strict=True):
            yield _Row(span.start, span.prompt, start, length)


def _padded_hidden(backbone: Any, tree: Tree) -> Tensor:  # Any: as above
    """The same [T, D] from right-padded rows; a prompt's states come from its first branch."""
    rows = list(_rows(tree))
    device = tree.tokens_T.device
    longest = max(row.prompt + row.branch for row in rows)
    source_BS = torch.full((len(rows), longest), -1, device=device)
    place_T = torch.empty_like(tree.tokens_T)
    for number, row in reversed(list(enumerate(rows))):
        prompt = torch.arange(row.prompt, device=device)
        branch = torch.arange(row.branch, device=device)
        source_BS[number, : row.prompt] = row.prompt_start + prompt
        source_BS[number, row.prompt : row.prompt + row.branch] = row.branch_start + branch
        place_T[row.prompt_start : row.prompt_start + row.prompt] = number * longest + prompt
        place_T[row.branch_start : row.branch_start + row.branch] = (
            number * longest + row.prompt + branch
        )
    mask_BS = source_BS >= 0
    tokens_BS = tree.tokens_T[source_BS.clamp(min=0)]
    outputs = backbone(input_ids=tokens_BS, attention_mask=mask_BS.long(), use_cache=False)
    hidden: Tensor = outputs.last_hidden_state.flatten(0, 1)[place_T]
    return hidden
