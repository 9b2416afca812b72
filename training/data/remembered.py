"""Hidden states of groups that a run sees again and again: frozen layers are passed once.

What lies under the lowest trained layer gives the same states in every epoch. They are computed
once for all groups, in one fixed order of rows, so that a resumed run has the same bits.

Shapes: T tokens of a row, N responses, R response tokens, D hidden size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.data.packing import Pack, TokenGroup, pack_groups, rows_under_budget
from training.models.attention import Tree
from training.models.load import LoadedModel
from training.models.split import SplitBackbone
from training.runtime.distributed import world
from training.runtime.run import Run

NOBODY = TokenGroup(prompt_id="", prompt=(0,), responses=((0,),))
LARGEST_MEMORY = 2**30  # bytes; 400,000 tokens of a model with 576 float32 states


class RememberedStates:
    """A model's hidden states, with those under the cut taken from memory where they are there."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Call it when the choice of trainable weights is made: the cut follows from it."""
        self._loaded = loaded
        self._split = SplitBackbone(loaded)
        self._lower: dict[TokenGroup, Tensor] = {}

    def remember(self, groups: Sequence[TokenGroup], *, budget: int, run: Run) -> None:
        """Pass the frozen layers once for all groups; nothing if none is frozen or it is too much.

        Nothing in several processes either: each would pass them for all.
        """
        tokens = sum(map(len, groups))
        width = self._loaded.model.config.hidden_size * self._loaded.model.dtype.itemsize
        if world() > 1 or not self._split.frozen or tokens * width > LARGEST_MEMORY:
            return
        rows = list(rows_under_budget(groups, budget))
        for row in run.track(rows, stage="frozen layers", total=len(rows), unit="batches"):
            tree = pack_groups(row).to(self._loaded.device).tree
            lower_TD = self._split.lower(tree)
            if lower_TD is not None:
                self._lower.update(zip(row, _of_each(tree, lower_TD), strict=True))

    def nothing(self) -> Tensor:
        """A pass that adds 0, with gradients of 0: for a process that has fewer than the others."""
        return 0.0 * self.last([NOBODY]).sum()

    def last(self, groups: Sequence[TokenGroup]) -> Tensor:
        """Hidden states [N, D] of the last token of every response."""
        pack, lower_TD = self._entered(groups)
        return self._split.upper(pack.tree, lower_TD, at_N=pack.last_N)

    def predictors(self, groups: Sequence[TokenGroup]) -> tuple[Pack, Tensor]:
        """The pack of these groups, and the hidden states [R, D] that predict its response tokens."""
        pack, lower_TD = self._entered(groups)
        return pack, self._split.upper(pack.tree, lower_TD, at_N=pack.predictor_R)

    def _entered(self, groups: Sequence[TokenGroup]) -> tuple[Pack, Tensor | None]:
        """The pack, and its states at the cut where there is one."""
        pack = pack_groups(groups).to(self._loaded.device)
        if all(group in self._lower for group in groups):
            lower_TD: Tensor | None = _in_a_row(pack.tree, [self._lower[one] for one in groups])
        else:
            lower_TD = self._split.lower(pack.tree)
        return pack, lower_TD


def _of_each(tree: Tree, states_TD: Tensor) -> list[Tensor]:
    """The states of each group with its whole prompt, cut out of a row."""
    root_TD, *trees = torch.split(
        states_TD, [tree.root, *(span.end - span.start for span in tree.spans)]
    )
    return [torch.cat([root_TD, one]) for one in trees]


def _in_a_row(tree: Tree, states: Sequence[Tensor]) -> Tensor:
    """The other way: the row's states from those of each group."""
    return torch.cat([states[0][: tree.root], *(one[tree.root :] for one in states)])
