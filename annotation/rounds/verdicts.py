"""What a round's new policy is worth, in one sentence, from what was measured. People, where asked, have the word."""

from typing import Any, NamedTuple

from annotation.evaluations.evidence import evidence_of
from annotation.evaluations.models import Evaluation
from annotation.rounds.models import Round
from annotation.runs.models import RunEvent, TrainingRun
from annotation.ui.minus import with_minus
from annotation.ui.templatetags.measured import percent
from training.spec.events import EventKind


class Verdict(NamedTuple):
    """Whether the new policy is better: None where what was measured cannot say."""

    is_better: bool | None
    sentence: str


def verdict_of(row: Round) -> Verdict:
    """People's, where they could compare the two blind; else the reward model's."""
    assert row.policy_run is not None  # noqa: S101 - its stage says so
    measured = by_reward(row.policy_run)
    if row.evaluation is None or row.evaluation.state == Evaluation.State.FAILED:
        return measured
    people = by_people(row.evaluation)
    return Verdict(people.is_better, f"{people.sentence} {measured.sentence}")


def alarms_of(row: Round) -> list[dict[str, object]]:
    """What guards said in the round's runs, the newest of each: run (its key), name, action, step, message.

    A policy that a guard stopped or warned of serves only where a person says so: what taught it also measured it.
    """
    runs = [key for key in (row.reward_run_id, row.policy_run_id) if key is not None]
    said = RunEvent.objects.filter(run__in=runs, kind=EventKind.GUARD).order_by("run", "pk")
    newest = {(one.run_id, one.data.get("name")): one for one in said}
    return [
        {
            "run": one.run_id,
            "step": one.step,
            **{name: one.data.get(name, "") for name in ("name", "action", "message")},
        }
        for one in newest.values()
    ]


def by_people(evaluation: Evaluation) -> Verdict:
    """By the win rate of a blind evaluation and its always-valid interval."""
    found = evidence_of(evaluation)
    rate = found.win_rate
    if rate.value is None or rate.interval is None:
        return Verdict(None, "Nobody had compared its answers blind when the round ended.")
    low, high = rate.interval
    whose = f", {found.simulated} of all votes simulated" if found.simulated else ""
    told = f"in {percent(rate.value)} of {rate.n} decided blind votes ({percent(low)} to {percent(high)}{whose})"
    if not found.is_decided:
        return Verdict(None, f"People preferred its answers {told}, which decides nothing.")
    if rate.value > 0.5:
        return Verdict(True, f"People prefer its answers, {told}.")
    return Verdict(False, f"People prefer the answers before, its own were taken {told}.")


def by_reward(run: TrainingRun) -> Verdict:
    """By the held-out reward before and after, where the run measured it."""
    metrics: dict[str, Any] = run.result.get("metrics", {})  # Any: JSON
    gain, ends, n = (metrics.get(name) for name in ("reward_gain", "interval", "n"))
    if not isinstance(gain, float) or not isinstance(ends, list) or len(ends) != 2:
        return Verdict(
            None,
            f"A {run.title} run says nothing of how its policy compares with the one before; "
            "compare the two blind, then promote by hand.",
        )
    told_gain, low, high = (with_minus(f"{one:+.3f}") for one in (gain, *ends))
    told = f"{told_gain} (95 % interval {low} to {high}, {n} held-out prompts)"
    if ends[0] > 0:
        return Verdict(True, f"The reward model finds its answers better, by {told}.")
    if ends[1] < 0:
        return Verdict(False, f"The reward model finds its answers worse, by {told}.")
    return Verdict(None, f"The reward model cannot tell its answers from those before: {told}.")
