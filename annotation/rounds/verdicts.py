"""What a round's new policy is worth, in one sentence, from what was measured."""

from typing import Any, NamedTuple

from annotation.runs.models import TrainingRun


class Verdict(NamedTuple):
    """Whether the new policy is better: None where what was measured cannot say."""

    is_better: bool | None
    sentence: str


def verdict_of(run: TrainingRun) -> Verdict:
    """By the held-out reward before and after, where the run measured it."""
    metrics: dict[str, Any] = run.result.get("metrics", {})  # Any: JSON
    gain, ends, n = (metrics.get(name) for name in ("reward_gain", "interval", "n"))
    if not isinstance(gain, float) or not isinstance(ends, list) or len(ends) != 2:
        return Verdict(
            None,
            f"A {run.title} run says nothing of how its policy compares with the one before; "
            "compare the two blind, then promote by hand.",
        )
    told = f"by {gain:+.3f} (95 % interval {ends[0]:+.3f} to {ends[1]:+.3f}, {n} held-out prompts)"
    if ends[0] > 0:
        return Verdict(True, f"The reward model finds its answers better, {told}.")
    if ends[1] < 0:
        return Verdict(False, f"The reward model finds its answers worse, {told}.")
    return Verdict(None, f"The reward model cannot tell its answers from those before, {told}.")
