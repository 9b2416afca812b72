"""Log-ratios of responses to the policy that a run began with.

The starting policy's log-probs are taken once, before the first step, in one fixed order of rows:
a resumed run has the same bits, and no second model is in memory.

Shapes: N responses of a row.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.data.packing import Pack, TokenGroup, rows_under_budget
from training.data.remembered import RememberedStates
from training.functional.logprobs import target_logprobs
from training.models.load import LoadedModel, head_of
from training.runtime.distributed import rank, summed, world
from training.runtime.run import Run
from training.runtime.sharding import behind
from training.spec.base import RunSpec


class LogRatios:
    """log pi(y | x) - log ref(y | x) of responses, where ref is the policy as it is now."""

    def __init__(
        self,
        policy: LoadedModel,
        groups: Sequence[TokenGroup],
        spec: RunSpec,
        run: Run,
        *,
        held_out: Sequence[TokenGroup] = (),
    ) -> None:
        """Call it when the choice of trainable weights is made, before a checkpoint is restored.

        ``held_out`` groups share no row with the others, whose bits do not depend on them.
        """
        self._policy = policy
        self._states = RememberedStates(policy)
        budget = spec.tokens_per_forward
        self._reference: dict[TokenGroup, Tensor] = {}
        rows: list[list[TokenGroup]] = []
        for part in (groups, held_out):
            self._states.remember(part, budget=budget, run=run)
            rows.extend(rows_under_budget(part, budget))
        taken = range(rank(), len(rows), world())
        idle = behind(len(taken), spec)
        sums = [torch.zeros(_responses(row), device=policy.device) for row in rows]
        with torch.no_grad():
            for at in run.track(taken, stage="reference", total=len(taken), unit="batches"):
                sums[at] = self._sums(rows[at])[1]
            for _ in range(idle):
                self.nothing()
        everyones = torch.split(summed(torch.cat(sums)), list(map(len, sums)))
        for row, sums_N in zip(rows, everyones, strict=True):
            parts = torch.split(sums_N, [len(group.responses) for group in row])
            self._reference.update(zip(row, parts, strict=True))

    def nothing(self) -> Tensor:
        """As of `RememberedStates`."""
        return self._states.nothing()

    def __call__(self, row: Sequence[TokenGroup]) -> tuple[Pack, Tensor]:
        """The pack of these groups, and the log-ratio [N] of every response with its gradient."""
        pack, sums_N = self._sums(row)
        return pack, sums_N - torch.cat([self._reference[group] for group in row])

    def _sums(self, row: Sequence[TokenGroup]) -> tuple[Pack, Tensor]:
        pack, hidden_RD = self._states.predictors(row)
        logprob_R = target_logprobs(hidden_RD, pack.targets_R, head_of(self._policy))
        return pack, pack.sums(logprob_R)


def _responses(row: Sequence[TokenGroup]) -> int:
    return sum(len(group.responses) for group in row)


def lengths_of(pack: Pack) -> Tensor:
    """How many tokens each response [N] of a row has."""
    return torch.bincount(pack.branch_R, minlength=len(pack.last_N))
