"""The prefix tree: one prompt and its K responses as one stretch of a row, the prompt only once.

Trees lie end to end in a row of T tokens. A token attends, causally, to the prompt of its own tree
and to its own branch. Positions restart after the prompt for every branch, so a response gets the
hidden states it would have alone. What all prompts of a row begin with (a system turn) is the row's
root: it lies there once, before the trees. Families whose attention is not plain causal attention
run the same trees as padded rows: equal numbers, more tokens.

Shapes: T tokens of a row, L tokens of a piece of it, D hidden size, B padded rows, S their length.
"""

import inspect
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from training.models.expanded import Expanded
from training.models.flex import flexible_attention, tree_block_mask, why_not_flexible
from training.models.trimmed import last_layer_at

PREFIX_TREE = "prefix_tree"
FLEX = "flex"
SHORTEST_ROOT = 16  # tokens: sharing fewer saves less than a mask for every prompt costs


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
    """A row of trees: token ids, positions, where each tree lies, and the length of the row's root."""

    tokens_T: Tensor
    positions_T: Tensor
    spans: tuple[TreeSpan, ...]
    root: int = 0

    def to(self, device: torch.device) -> "Tree":
        return self._replace(
            tokens_T=self.tokens_T.to(device), positions_T=self.positions_T.to(device)
        )

    def paths(self) -> Iterator[Tensor]:
        """The places in the row of each response with all that it follows; of a bare prompt's too."""
        root = torch.arange(self.root)
        for span in self.spans:
            trunk = torch.arange(span.start, span.start + span.prompt)
            for start, length in zip(
                span.branch_starts() or [span.end], span.branches or (0,), strict=True
            ):
                path = torch.cat([root, trunk, torch.arange(start, start + length)])
                yield path.to(self.tokens_T.device)


class Piece(NamedTuple):
    """Some tokens of a row that attend alike: to whole pieces before them, and causally to themselves.

    ``mask`` [L, tokens attended to] is 0 where a token attends and -inf elsewhere; None where a piece
    attends to itself alone.
    """

    length: int
    before: tuple[int, ...]
    mask: Tensor | None


def plant_trees(groups: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]]) -> Tree:
    """Lay (prompt, responses) groups end to end, after what their prompts begin with."""
    root = _root([prompt for prompt, _ in groups])
    tokens: list[int] = list(groups[0][0][:root])
    positions: list[int] = list(range(root))
    spans = []
    for prompt, responses in groups:
        lengths = tuple(len(one) for one in responses)
        spans.append(TreeSpan(len(tokens), len(prompt) - root, lengths))
        tokens.extend(prompt[root:])
        positions.extend(range(root, len(prompt)))
        for response in responses:
            tokens.extend(response)
            positions.extend(range(len(prompt), len(prompt) + len(response)))
    return Tree(torch.tensor(tokens), torch.tensor(positions), tuple(spans), root)


def _root(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; 0 where there are few, or one prompt.

    Each keeps a last token of its own, whose state predicts the first token of its responses.
    """
    first = prompts[0]
    shared = min(map(len, prompts)) - 1
    for prompt in prompts:
        differs = (at for at in range(shared) if prompt[at] != first[at])
        shared = next(differs, shared)
    return shared if len(prompts) > 1 and shared >= SHORTEST_ROOT else 0


def tree_pieces(tree: Tree, dtype: torch.dtype) -> list[Piece]:
    """The pieces of a row, made once a batch and shared by all layers; ``dtype`` is that of queries.

    They are the root, then of each tree the prompt and its branches; a tree of one branch is one piece.
    """
    pieces: list[Piece] = []

    def add(length: int, before: tuple[int, ...]) -> None:
        seen = sum(pieces[at].length for at in before)
        mask = _mask(length, seen, dtype, tree.tokens_T.device) if seen else None
        pieces.append(Piece(length, before, mask))

    if tree.root:
        add(tree.root, ())
    below = tuple(range(len(pieces)))
    for span in tree.spans:
        trunk = (*below, len(pieces))
        if len(span.branches) <= 1:
            add(span.end - span.start, below)
            continue
        add(span.prompt, below)
        for length in span.branches:
            add(length, trunk)
    return pieces


def _mask(length: int, seen: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers, because a mask of truths would be turned into them in every layer."""
    blocked = torch.full((length, seen + length), -torch.inf, dtype=dtype, device=device)
    return blocked.triu_(seen + 1)


def prefix_tree_attention(  # noqa: PLR0913, PLR0917 - the signature transformers calls
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    tree_row: list[Piece] | BlockMask | None = None,
    **kwargs: Any,  # Any: whatever a family passes to its attention
) -> tuple[Tensor, None]:
    """Attention of a row of trees; of any other row, SDPA as ever (generation uses that)."""
    if tree_row is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **kwargs
        )
        return plain
    if isinstance(tree_row, BlockMask):
        row = flexible_attention(query, key, value, tree_row, scale=scaling)
        return row.transpose(1, 2).contiguous(), None
    # All pieces by one split: a slice's gradient would be a row of zeros, for every piece anew.
    lengths = [piece.length for piece in tree_row]
    queries, keys, values = (torch.split(row, lengths, dim=2) for row in (query, key, value))
    repeats = int(getattr(module, "num_key_value_groups", 1))
    is_recomputed = bool(getattr(module, "is_recomputed", False))
    outputs = []
    for at, piece in enumerate(tree_row):
        seen = (*piece.before, at)
        expanded = Expanded(repeats)
        with nullcontext() if is_recomputed else expanded:
            output = F.scaled_dot_product_attention(
                queries[at],
                expanded([keys[one] for one in seen]),
                expanded([values[one] for one in seen]),
                attn_mask=piece.mask,
                is_causal=piece.mask is None,
                dropout_p=dropout,
                scale=scaling,
            )
        outputs.append(output.transpose(1, 2))
    return torch.cat(outputs, dim=1), None


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
        tree_row=_row_of(tree, backbone),
    )
    hidden: Tensor = outputs.last_hidden_state[0]
    return hidden


def _row_of(tree: Tree, backbone: Any) -> list[Piece] | BlockMask:  # Any: as above
    """What attends to what in the row, for the kernel that its device calls for."""
    device = tree.tokens_T.device
    drops = backbone.training and _drops(backbone.config)
    if not drops and kernel_of(backbone, device).name == FLEX:
        return tree_block_mask(tree.spans, tree.root, device)
    return tree_pieces(tree, backbone.dtype)


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


def _padded_hidden(backbone: Any, tree: Tree) -> Tensor:  # Any: as above
    """The same [T, D] from right-padded rows; states of what rows share come from the first."""
    paths = list(tree.paths())
    source_BS = pad_sequence(paths, batch_first=True, padding_value=-1)
    mask_BS = source_BS >= 0
    tokens_BS = tree.tokens_T[source_BS.clamp(min=0)]
    outputs = backbone(input_ids=tokens_BS, attention_mask=mask_BS.long(), use_cache=False)
    place_T = torch.empty_like(tree.tokens_T)
    for number, path in reversed(list(enumerate(paths))):
        first = number * source_BS.shape[1]
        place_T[path] = torch.arange(first, first + len(path), device=path.device)
    hidden: Tensor = outputs.last_hidden_state.flatten(0, 1)[place_T]
    return hidden
