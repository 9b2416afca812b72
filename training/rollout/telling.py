"""What an update says of itself: numbers of its batch, and a few responses to read."""

import statistics
from collections.abc import Mapping, Sequence

from training.rollout.buffer import Rollout
from training.runtime.run import Run
from training.spec.events import EventKind

SAMPLES_SHOWN = 2  # responses an update that go into the events


def batch_numbers(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Raw scores of the batch, mean and deviation, the share of responses that ended, and doubt."""
    scores = [score for one in rollouts for score in one.scores]
    samples = [sample for one in rollouts for sample in one.samples]
    return {
        "reward": statistics.fmean(scores),
        "reward_deviation": statistics.pstdev(scores),
        "eos_share": statistics.fmean(sample.finished for sample in samples),
        "disagreement": disagreement(rollouts),
    }


def disagreement(rollouts: Sequence[Rollout]) -> float:
    """The mean deviation of the reward model's heads over the batch; 0 for one head."""
    return statistics.fmean(doubt for one in rollouts for doubt in one.deviations)


def tell_update(
    run: Run, rollouts: Sequence[Rollout], metrics: Mapping[str, float], *, update: int
) -> None:
    """The metrics of an update as an event, then some of its responses with their scores."""
    run.reporter.metrics(metrics, step=update)
    for one in rollouts[:SAMPLES_SHOWN]:
        sample = {
            "prompt": one.record.prompt[-1].content,
            "response": one.samples[0].text,
            "reward": one.scores[0],
        }
        run.reporter.say(EventKind.SAMPLE, sample, step=update)
