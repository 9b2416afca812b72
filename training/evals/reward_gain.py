"""What learning from rollouts gained on held-out prompts: the reward before and after, paired by prompt.

Both policies answer with the same random streams. The interval is a bootstrap over prompts of the
difference; KL is measured on the answers of the later policy, which is asked first: one policy at a
time is in memory, beside the reward model, as while it trained.
"""

import gc
import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.data.tokens import Tally
from training.evals.diversity import distinct_pairs
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
from training.runtime.metrics import Reporter
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
        "kl": _kl(last.logprobs, first.logprobs) / sum(len(one.responses) for one in answered),
        **_taxed(first.loss, "before"),
        **_taxed(last.loss, "after"),
    }
    run.reporter.say(EventKind.EVALUATION, metrics)
    return metrics


class _Told(NamedTuple):
    """What a policy answered, its log-probs of the later one's answers (a row a tensor), its held-out loss."""

    rollouts: list[Rollout]
    logprobs: list[Tensor]
    loss: Measured


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
    stage = _Stage(run.reporter, f"held-out answers {when}")
    rollouts = _answers(policy, groups, scorer, spec, stage)
    answered = [one.tokens for one in rollouts] if answered is None else answered
    loss = heldout_loss(
        *(policy, groups, spec, run), includes_chosen=True, stage=f"held-out loss {when}"
    )
    return _Told(rollouts, _logprobs(policy, answered, spec), loss)


def _taxed(loss: Measured, when: str) -> dict[str, object]:
    """Held-out loss and perplexity: what was paid in the language that people use."""
    perplexity = None if loss.value is None else math.exp(loss.value)
    return {f"loss_{when}": loss._asdict(), f"perplexity_{when}": perplexity}


class _Stage(NamedTuple):
    reporter: Reporter
    name: str


def _answers(
    policy: LoadedModel, groups: Sequence[Group], scorer: Scorer, spec: RolloutSpec, stage: _Stage
) -> list[Rollout]:
    def say(done: int, total: int) -> None:
        data = {"stage": stage.name, "done": done, "total": total, "unit": "answers"}
        stage.reporter.say(EventKind.PROGRESS, data)

    tally = Tally()
    prompts = asked(policy, groups, spec, tally)
    stage.reporter.log("The held-out prompts are read.", **tally.as_dict())
    sampler = LocalSampler(policy.model, policy.tokenizer, rows=spec.rows_at_once)
    return heldout_answers(sampler, scorer, prompts, spec, on_progress=say)


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
        "length_before": _mean_length(before),
        "length_after": _mean_length(after),
        "eos_before": _eos_share(before),
        "eos_after": _eos_share(after),
        "distinct_before": distinct_pairs(_texts(before)),
        "distinct_after": distinct_pairs(_texts(after)),
    }


def _mean_reward(answered: Sequence[Rollout]) -> float:
    return statistics.fmean(score for one in answered for score in one.scores)


def _texts(answered: Sequence[Rollout]) -> list[str]:
    return [each.text for one in answered for each in one.samples]


def _mean_length(answered: Sequence[Rollout]) -> float:
    return statistics.fmean(len(each.token_ids) for one in answered for each in one.samples)


def _eos_share(answered: Sequence[Rollout]) -> float:
    return statistics.fmean(each.finished for one in answered for each in one.samples)


@torch.no_grad()
def _logprobs(
    policy: LoadedModel, answered: Sequence[TokenGroup], spec: RolloutSpec
) -> list[Tensor]:
    """The log-prob of every token of these answers, a row after the other."""
    packs = (
        pack_groups(row).to(policy.device)
        for row in rows_under_budget(answered, spec.tokens_per_forward)
    )
    return [
        response_logprobs(policy, pack, temperature=spec.temperature).logprob_R.cpu()
        for pack in packs
    ]


def _kl(policy: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """KL(policy || reference) over all answers of the policy, estimated by their log-ratios (k1)."""
    return math.fsum(
        (one - other).sum().item() for one, other in zip(policy, reference, strict=True)
    )
