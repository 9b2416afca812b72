"""The rollouts of an update as parts to learn from, with what was true before the first step."""

import random
from collections.abc import Iterator, Sequence

import torch

from training.data.packing import TokenGroup, pack_groups
from training.data.remembered import NOBODY
from training.rollout.actor_critic import Actor
from training.rollout.buffer import Part, Rollout, in_minibatches
from training.runtime.sharding import behind
from training.spec.rollouts import RolloutSpec


def recall(actor: Actor, rollouts: Sequence[Rollout], spec: RolloutSpec) -> list[list[Part]]:
    """Old log-probs, old values and the reference's log-probs, with the training forward.

    Of several processes each recalls its share of every minibatch.
    """
    rows = in_minibatches(rollouts, minibatches=spec.minibatches, budget=spec.tokens_per_forward)
    idle = behind(sum(map(len, rows)), spec)
    parts = [[_part(actor, row) for row in minibatch] for minibatch in rows]
    for _ in range(idle):
        _passed(actor, [NOBODY], sampled=[0.0])
    return parts


def _part(actor: Actor, row: Sequence[Rollout]) -> Part:
    sampled = [logprob for one in row for logprob in one.told_logprobs()]
    return _passed(actor, [one.tokens for one in row], sampled=sampled)


@torch.no_grad()
def _passed(actor: Actor, row: Sequence[TokenGroup], *, sampled: Sequence[float]) -> Part:
    pack = pack_groups(row).to(actor.device)
    lower_TD = actor.lower(pack)
    return Part(
        pack=pack,
        lower_TD=lower_TD,
        old=actor.outputs(pack, lower_TD),
        reference_R=actor.reference_logprobs(pack, lower_TD),
        sampled_R=torch.tensor(sampled, device=actor.device),
    )


def minibatch_orders(minibatches: int, spec: RolloutSpec, *, update: int) -> Iterator[list[int]]:
    """The numbers of the minibatches, an order a pass; a function of seed, update and pass."""
    for epoch in range(spec.update_epochs):
        order = list(range(minibatches))
        random.Random(f"{spec.seed}/{update}/{epoch}").shuffle(order)  # noqa: S311 - an order
        yield order
