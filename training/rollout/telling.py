"""What an update says of itself: numbers of its batch, and a few responses to read."""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

from training.rollout.buffer import Part, Rollout
from training.runtime.distributed import everyones
from training.runtime.run import Run
from training.spec.events import EventKind
from training.spec.rollouts import RolloutSpec

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
        "distinct": distinct_share(rollouts),
        **scored_in_part(rollouts),
        **held_out(rollouts),
    }


def signs(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """What guards look at besides KL, entropy and length, by its name in `Vitals`."""
    told = batch_numbers(rollouts)
    names = ("disagreement", "distinct", "reward", "held_out_reward", "held_out_error")
    return {name: told[name] for name in names if name in told}


def sampler_gap(minibatches: Sequence[Sequence[Part]]) -> dict[str, float]:
    """Mean distance of a token's log-prob to the trainer from what the sampler told; {} where it told none."""
    parts = [part for minibatch in minibatches for part in minibatch]
    apart_R = everyones([(part.old.logprob_R - part.sampled_R).abs() for part in parts])
    known_R = apart_R[~apart_R.isnan()]
    return {"sampler_gap": known_R.mean().item()} if len(known_R) else {}


def distinct_share(rollouts: Sequence[Rollout]) -> float:
    """Distinct pairs of neighboring tokens over all of them (distinct-2, Li et al. 2016)."""
    pairs = [
        pair for one in rollouts for sample in one.samples for pair in pairwise(sample.token_ids)
    ]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def scored_in_part(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """The share of responses of which, or of whose prompt, the reward model did not read all; {} where it read all."""
    cut = [one for rollout in rollouts for one in rollout.truncated]
    return {"scored_in_part": statistics.fmean(cut)} if any(cut) else {}


def held_out(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Mean score by the reward model that does not teach, and its standard error; {} without one."""
    scores = [score for one in rollouts for score in one.held_out]
    if not scores:
        return {}
    error = statistics.pstdev(scores) / math.sqrt(len(scores))
    return {"held_out_reward": statistics.fmean(scores), "held_out_error": error}


def disagreement(rollouts: Sequence[Rollout]) -> float:
    """The mean deviation of the reward model's heads over the batch; 0 for one head."""
    return statistics.fmean(doubt for one in rollouts for doubt in one.deviations)


def tell_of_sampler(run: Run, gap: float | None, spec: RolloutSpec) -> None:
    """A log where it told nothing to weigh by."""
    if gap is None and spec.importance_cap:
        run.reporter.log(
            f"importance_cap {spec.importance_cap:g} weighs nothing: the sampler tells no log-probs of its tokens."
        )


def tell_update(
    run: Run,
    rollouts: Sequence[Rollout],
    metrics: Mapping[str, float],
    *,
    update: int,
    spec: RolloutSpec,
) -> None:
    """The metrics of an update as an event, then some of its responses with their scores.

    At the first, a log of a sampler that cannot be weighed by.
    """
    if update == 1:
        tell_of_sampler(run, metrics.get("sampler_gap"), spec)
    run.reporter.metrics(metrics, step=update)
    for one in rollouts[:SAMPLES_SHOWN]:
        sample = {
            "prompt": one.record.prompt[-1].content,
            "response": one.samples[0].text,
            "reward": one.scores[0],
        }
        run.reporter.say(EventKind.SAMPLE, sample, step=update)
