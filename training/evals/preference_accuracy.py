"""What a policy that learned from preferences directly makes of held-out pairs, and what it paid for it.

Its implicit reward is beta times the log-ratio to the policy it began with (Rafailov et al. 2023,
eq. 5); it agrees with people where the chosen response gained more probability. The price is read
from the loss on held-out responses and from its own answers, both policies with the same random
streams. The trained policy is asked first: one policy at a time is in memory.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from training.data.chat import reading_limits
from training.data.forward import response_logprobs
from training.data.packing import pack_groups, rows_under_budget
from training.data.preferences import PairGroup, PairReader
from training.data.records import groups_of, read_some
from training.data.tokens import Tally, counts_of
from training.evals.answers import Answered, answered_by, moved, taxed
from training.evals.heldout_loss import heldout_loss
from training.evals.reward_accuracy import (
    accuracy_ceiling,
    longer_wins,
    pairs_of,
    reward_accuracy,
)
from training.evals.scored_pairs import ScoredPair
from training.functional.intervals import Measured, mean_of_clusters
from training.models.load import LoadedModel
from training.models.lora import starting_policy, trained_policy
from training.runtime.device import pick_device
from training.runtime.run import Run
from training.spec.events import EventKind
from training.spec.preferences import ReferenceSpec

NO_PAIRS = "There are no held-out pairs."


def evaluate(run: Run, spec: ReferenceSpec) -> Mapping[str, object]:
    """Accuracy of the implicit reward on held-out pairs, how far these and the answers moved, and the loss."""
    device = pick_device()
    last = _told(trained_policy(run, spec, device), spec, run, when="after")
    gc.collect()
    first = _told(starting_policy(spec, device), spec, run, when="before", of=last.answered)
    metrics = {
        **_sides_taken(first.pairs, last.pairs, spec.beta),
        **taxed(first.loss, last.loss),
        **moved(first.answered, last.answered),
        "held_out_records": counts_of(last.tallies),
    }
    run.reporter.say(EventKind.EVALUATION, metrics)
    return metrics


class _Pairs(NamedTuple):
    """Held-out pairs, and the log-probability of every response of every group."""

    groups: list[PairGroup]
    sums: list[list[float]]


class _Told(NamedTuple):
    """What one policy makes of the held-out records, and of their prompts."""

    pairs: _Pairs
    loss: Measured
    answered: Answered
    tallies: dict[str, Tally]


def _told(
    policy: LoadedModel,
    spec: ReferenceSpec,
    run: Run,
    *,
    when: str,
    of: Answered | None = None,
) -> _Told:
    run.watch(policy.model)
    tallies = {name: Tally() for name in ("pairs", "responses", "answers")}
    pairs = _pairs(policy, spec, run, tally=tallies["pairs"], stage=f"held-out pairs {when}")
    records = groups_of(spec.data, "validation", "test")
    loss = heldout_loss(
        *(policy, records, spec, run),
        includes_chosen=True,
        tally=tallies["responses"],
        stage=f"held-out loss {when}",
    )
    answered = answered_by(
        *(policy, spec, run), tally=tallies["answers"], stage=f"held-out answers {when}", of=of
    )
    return _Told(pairs, loss, answered, tallies)


def _sides_taken(before: _Pairs, after: _Pairs, beta: float) -> dict[str, object]:
    scored: list[ScoredPair] = []
    chosen, rejected = [], []
    for group, old, new in zip(before.groups, before.sums, after.sums, strict=True):
        moved = [later - sooner for sooner, later in zip(old, new, strict=True)]
        scored.extend(pairs_of(group, moved))
        chosen.append([beta * moved[pair.chosen] for pair in group.pairs])
        rejected.append([beta * moved[pair.rejected] for pair in group.pairs])
    return {
        "accuracy": reward_accuracy(scored)._asdict(),
        "longer_wins": longer_wins(scored)._asdict(),
        "ceiling": accuracy_ceiling(scored)._asdict(),
        "chosen_reward": mean_of_clusters(chosen, why_empty=NO_PAIRS)._asdict(),
        "rejected_reward": mean_of_clusters(rejected, why_empty=NO_PAIRS)._asdict(),
    }


def _pairs(
    policy: LoadedModel, spec: ReferenceSpec, run: Run, *, tally: Tally, stage: str
) -> _Pairs:
    reader = PairReader(
        tokenizer=policy.tokenizer,
        limits=reading_limits(policy, spec),
    )
    records = groups_of(spec.data, "validation", "test")
    groups = read_some(records, reader.read, spec.most_measured, tally)
    run.reporter.log("The held-out pairs are read.", **tally.as_dict())
    rows = list(rows_under_budget(groups, spec.tokens_per_forward))
    sums: list[list[float]] = []
    for row in run.track(rows, stage=stage, total=len(rows), unit="batches"):
        sums.extend(_response_sums(policy, row))
    return _Pairs(groups, sums)


@torch.no_grad()
def _response_sums(policy: LoadedModel, row: Sequence[PairGroup]) -> Iterator[list[float]]:
    pack = pack_groups([group.tokens for group in row]).to(policy.device)
    sums_N = pack.sums(response_logprobs(policy, pack).logprob_R)
    for part in torch.split(sums_N, [len(group.lengths) for group in row]):
        yield part.tolist()
