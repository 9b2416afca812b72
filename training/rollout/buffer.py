"""What one PPO update learns from: rollouts, then parts that are forwarded together.

Everything about tokens is flat over the response tokens of a part (R); parts follow the order of
the rollouts, so that their pieces end to end (of all processes) are the whole batch. N responses, T tokens of the
longest.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.packing import Pack, TokenGroup, rows_under_budget
from training.rollout.actor_critic import TokenOutputs
from training.rollout.sampler import Sample
from training.runtime.distributed import everyones, my_share, own_part, shares
from training.spec.records import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One prompt, its sampled responses, their raw scores, and how far the heads disagreed on each.

    ``held_out`` are the scores by a reward model that does not teach; () without one. ``truncated`` says of which
    the reward model read a part, or of their prompt.
    """

    record: Group
    tokens: TokenGroup
    samples: tuple[Sample, ...]
    scores: tuple[float, ...]
    deviations: tuple[float, ...]
    held_out: tuple[float, ...] = ()
    truncated: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    def told_logprobs(self) -> list[float]:
        """The sampler's log-probs of all response tokens in order; NaN where it told none."""
        return [
            logprob
            for one in self.samples
            for logprob in (one.logprobs or [math.nan] * len(one.token_ids))
        ]

    def rewards(self, *, uncertainty_penalty: float) -> list[float]:
        """Scores less the price of doubt: conservative where the reward model is unsure."""
        return [
            score - uncertainty_penalty * doubt
            for score, doubt in zip(self.scores, self.deviations, strict=True)
        ]


class Part(NamedTuple):
    """One forward pass: its pack, the states under the trained layers, and what was true before.

    ``sampled_R`` are the log-probs that the sampler told; NaN where it told none.
    """

    pack: Pack
    lower_TD: Tensor | None
    old: TokenOutputs
    reference_R: Tensor
    sampled_R: Tensor

    def lengths(self) -> Tensor:
        """How many tokens each of its N responses has."""
        return torch.bincount(self.pack.branch_R, minlength=len(self.pack.last_N))

    def correction(self, cap: float) -> Tensor | float:
        """How much likelier each token is to the trainer than it was to the sampler, at most ``cap`` (0: it is 1).

        What a sampler drew by rounding otherwise is weighed as the policy would have drawn it (truncated importance
        sampling, Ionides 2008).
        """
        if not cap:
            return 1.0
        return (self.old.logprob_R - self.sampled_R).nan_to_num(0.0).exp().clamp(max=cap)


class Lesson(NamedTuple):
    """A part with its advantages and returns: what a gradient needs."""

    part: Part
    advantage_R: Tensor
    return_R: Tensor


def shuffled(rollouts: Sequence[Rollout], *, seed: str) -> list[Rollout]:
    """Another order, the same for the same seed."""
    order = list(rollouts)
    random.Random(seed).shuffle(order)  # noqa: S311 - an order, not a secret
    return order


def in_minibatches(
    rollouts: Sequence[Rollout], *, minibatches: int, budget: int
) -> list[list[list[Rollout]]]:
    """This process's share of every minibatch, in rows under the token budget."""
    pieces = _pieces(rollouts, minibatches)
    return [list(rows_under_budget(my_share(piece), budget)) for piece in pieces]


def by_process(rollouts: Sequence[Rollout], *, minibatches: int) -> list[Rollout]:
    """The rollouts in the order in which `everyones` has their tokens: a process after the other."""
    taken = [shares(piece) for piece in _pieces(rollouts, minibatches)]
    return [one for each in zip(*taken, strict=True) for share in each for one in share]


def _pieces(rollouts: Sequence[Rollout], minibatches: int) -> list[Sequence[Rollout]]:
    """Minibatches of nearly equal numbers of prompts."""
    bounds = [len(rollouts) * number // minibatches for number in range(minibatches + 1)]
    return [rollouts[low:high] for low, high in pairwise(bounds)]


class Padded(NamedTuple):
    """The mask of all responses of a batch, True at real tokens: between flat and [N, T].

    Of several processes each has all responses here, and forwards the parts of its own.
    """

    mask_NT: Tensor

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "Padded":
        lengths_N = everyones([part.lengths() for part in parts], dtype=torch.int64)
        places = torch.arange(int(lengths_N.max()), device=lengths_N.device)
        return cls(places < lengths_N[:, None])

    def wide(self, pieces_R: Sequence[Tensor]) -> Tensor:
        """Flat pieces of the parts as one [N, T], 0 in the padding."""
        flat = everyones(pieces_R)
        return flat.new_zeros(self.mask_NT.shape).masked_scatter(self.mask_NT, flat)

    def flat(self, values_NT: Tensor, parts: Sequence[Part]) -> Iterator[Tensor]:
        """[N, T] as flat pieces, one a part of this process."""
        sizes = [len(part.pack.branch_R) for part in parts]
        return iter(torch.split(own_part(values_NT[self.mask_NT], sum(sizes)), sizes))
