"""The loss of a policy on held-out responses, before and after training; of fine-tuning also what its answers tell."""

import gc
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from training.data.chat import reading_limits
from training.data.demonstrations import demonstration_groups
from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.data.records import groups_of, read_some
from training.data.tokens import Tally, counts_of
from training.evals.answers import Answered, answered_by, moved, taxed
from training.functional.intervals import Measured, mean_of_clusters
from training.models.load import LoadedModel
from training.models.lora import starting_policy, trained_policy
from training.runtime.device import pick_device
from training.runtime.run import Run
from training.spec.base import RunSpec
from training.spec.events import EventKind
from training.spec.preferences import SftSpec
from training.spec.records import Group


def evaluate(run: Run, spec: SftSpec) -> Mapping[str, object]:
    """Mean loss a held-out response token, and how far the answers moved, from the first model to the artifact.

    The trained policy is asked first: one policy at a time is in memory.
    """
    device = pick_device()
    last = _told(trained_policy(run, spec, device), spec, run, when="after")
    gc.collect()
    first = _told(starting_policy(spec, device), spec, run, when="before", of=last.answered)
    metrics = {
        **taxed(first.loss, last.loss),
        **moved(first.answered, last.answered),
        "held_out_records": counts_of(last.tallies),
    }
    run.reporter.say(EventKind.EVALUATION, metrics)
    return metrics


class _Told(NamedTuple):
    loss: Measured
    answered: Answered
    tallies: dict[str, Tally]


def _told(
    policy: LoadedModel, spec: SftSpec, run: Run, *, when: str, of: Answered | None = None
) -> _Told:
    run.watch(policy.model)
    tallies = {name: Tally() for name in ("responses", "answers")}
    records = groups_of(spec.data, "validation", "test")
    loss = heldout_loss(
        *(policy, records, spec, run),
        includes_chosen=spec.include_chosen,
        tally=tallies["responses"],
        stage=f"held-out loss {when}",
    )
    answered = answered_by(
        *(policy, spec, run), tally=tallies["answers"], stage=f"held-out answers {when}", of=of
    )
    return _Told(loss, answered, tallies)


def heldout_loss(
    policy: LoadedModel,
    records: Sequence[Group],
    spec: RunSpec,
    run: Run,
    *,
    includes_chosen: bool,
    tally: Tally,
    stage: str,
) -> Measured:
    """Mean loss a token of the responses to imitate in these records, with a bootstrap over prompts.

    What is cut or left out is counted in ``tally``.
    """

    def read(some: Sequence[Group], tally: Tally) -> list[TokenGroup]:
        return demonstration_groups(
            policy.tokenizer,
            some,
            limits=reading_limits(policy, spec),
            includes_chosen=includes_chosen,
            tally=tally,
        )

    groups = read_some(records, read, spec.most_measured, tally)
    run.reporter.log("The held-out responses are read.", **tally.as_dict())
    rows = list(rows_under_budget(groups, spec.tokens_per_forward))
    losses = [
        loss
        for row in run.track(rows, stage=stage, total=len(rows), unit="batches")
        for loss in token_losses(policy, row)
    ]
    return mean_of_clusters(losses, why_empty="There are no held-out responses.")


@torch.no_grad()
def token_losses(policy: LoadedModel, row: list[TokenGroup]) -> list[list[float]]:
    """The loss of every response token, a list a group."""
    pack = pack_groups(row).to(policy.device)
    losses = (-response_logprobs(policy, pack).logprob_R).tolist()
    group_R = pack.group_N[pack.branch_R].tolist()
    found: list[list[float]] = [[] for _ in row]
    for loss, group in zip(losses, group_R, strict=True):
        found[group].append(loss)
    return found
