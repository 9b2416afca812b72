"""What learning from rollouts gained on held-out prompts: the reward before and after, paired by prompt.

Both policies answer with the same random streams. The interval is a bootstrap over prompts of the
difference; KL is measured on the answers of the later policy, which is asked first: one policy at a
time is in memory, beside the reward model, as while it trained.
"""

import gc
import statistics
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from torch import Tensor

from training.data.packing import TokenGroup
from training.data.tokens import Tally, counts_of
from training.evals.answers import (
    Samples,
    answer_logprobs,
    changed,
    kl_a_response,
    taxed,
    telling,
)
from training.evals.heldout_loss import heldout_loss
from training.evals.scored_pairs import half_win
from training.functional.intervals import Measured, cluster_bootstrap, mean_of_clusters
from training.models.load import LoadedModel
from training.models.lora import starting_policy, trained_policy
from training.rollout.buffer import Rollout
from training.rollout.explorer import asked, heldout_answers, heldout_prompts
from training.rollout.sampler import LocalSampler
from training.rollout.scoring import Scorer, load_scorer
from training.runtime.device import pick_device
from training.runtime.run import Run
from training.spec.events import EventKind
from training.spec.records import Group
from training.spec.rollouts import RolloutSpec


def evaluate(run: Run, spec: RolloutSpec) -> Mapping[str, object]:
    """Mean rewards of the model the run began with and of its artifact, and the difference."""
    if not spec.eval_prompts:
        return {"reason": "Nothing was measured: eval_prompts is 0."}
    groups = heldout_prompts(spec)
    if not groups:
        return {"reason": "There are no held-out prompts: none is in the test or validation split."}
    device = pick_device()
    scorer = load_scorer(run, spec, device)
    last = _told(trained_policy(run, spec, device), groups, scorer, spec, run, when="after")
    answered = [one.tokens for one in last.rollouts]
    gc.collect()
    first = _told(
        *(starting_policy(spec, device), groups, scorer, spec, run),
        when="before",
        answered=answered,
    )
    metrics = {
        **_compared(first.rollouts, last.rollouts, spec.seed),
        "kl": kl_a_response(last.logprobs, first.logprobs, answered),
        **taxed(first.loss, last.loss),
        "held_out_records": counts_of(last.tallies),
    }
    run.reporter.say(EventKind.EVALUATION, metrics)
    return metrics


class _Told(NamedTuple):
    """What a policy answered, its log-probs of the later one's answers (a row a tensor), its held-out loss."""

    rollouts: list[Rollout]
    logprobs: list[Tensor]
    loss: Measured
    tallies: dict[str, Tally]


def _told(
    policy: LoadedModel,
    groups: Sequence[Group],
    scorer: Scorer,
    spec: RolloutSpec,
    run: Run,
    *,
    when: str,
    answered: Sequence[TokenGroup] | None = None,
) -> _Told:
    run.watch(policy.model)
    tallies = {name: Tally() for name in ("answers", "responses")}
    rollouts = _answers(
        *(policy, groups, scorer, spec, run),
        tally=tallies["answers"],
        stage=f"held-out answers {when}",
    )
    answered = [one.tokens for one in rollouts] if answered is None else answered
    loss = heldout_loss(
        *(policy, groups, spec, run),
        includes_chosen=True,
        tally=tallies["responses"],
        stage=f"held-out loss {when}",
    )
    logprobs = answer_logprobs(policy, answered, spec, temperature=spec.temperature)
    return _Told(rollouts, logprobs, loss, tallies)


def _answers(
    policy: LoadedModel,
    groups: Sequence[Group],
    scorer: Scorer,
    spec: RolloutSpec,
    run: Run,
    *,
    tally: Tally,
    stage: str,
) -> list[Rollout]:
    prompts = asked(policy, groups, spec, tally)
    run.reporter.log("The held-out prompts are read.", **tally.as_dict())
    sampler = LocalSampler(policy.model, policy.tokenizer, rows=spec.rows_at_once)
    with telling(run.reporter, stage) as say:
        answered = heldout_answers(sampler, scorer, prompts, spec, on_progress=say)
    tally.add("responses_scored_in_part", sum(sum(one.truncated) for one in answered))
    return answered


def _compared(before: Sequence[Rollout], after: Sequence[Rollout], seed: int) -> dict[str, object]:
    gains = [
        [later - sooner for sooner, later in zip(first.scores, last.scores, strict=True)]
        for first, last in zip(before, after, strict=True)
    ]
    wins = [[half_win(gain) for gain in one] for one in gains]
    return {
        "reward_before": _mean_reward(before),
        "reward_after": _mean_reward(after),
        "win_rate": mean_of_clusters(wins, why_empty="There are no held-out answers.")._asdict(),
        "reward_gain": statistics.fmean(chain.from_iterable(gains)),
        "interval": cluster_bootstrap(gains, seed=seed),
        "n": len(gains),
        **changed(_samples(before), _samples(after)),
    }


def _mean_reward(answered: Sequence[Rollout]) -> float:
    return statistics.fmean(score for one in answered for score in one.scores)


def _samples(answered: Sequence[Rollout]) -> Samples:
    return [one.samples for one in answered]
