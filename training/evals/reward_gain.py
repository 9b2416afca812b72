"""What learning from rollouts gained on held-out prompts: the reward before and after, paired by prompt.

Both policies answer with the same random streams. The interval is a bootstrap over prompts of the
difference; KL is measured on the answers of the later policy.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import torch

from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.data.records import groups_of
from training.evals.diversity import distinct_pairs
from training.evals.heldout_loss import heldout_loss
from training.evals.scored_pairs import half_win
from training.functional.intervals import cluster_bootstrap, mean_of_clusters
from training.models.load import LoadedModel
from training.models.lora import starting_policy, trained_policy
from training.rollout.buffer import Rollout
from training.rollout.explorer import answers, rollout_seed
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
    policies = starting_policy(spec, device), trained_policy(run, spec, device)
    for policy in policies:
        run.watch(policy.model)
    scorer = load_scorer(run, spec, device)
    first, last = (
        _answers(policy, groups, scorer, spec, _Stage(run.reporter, f"held-out answers {when}"))
        for policy, when in zip(policies, ("before", "after"), strict=True)
    )
    before, after = policies
    kl = policy_kl(after, before, [one.tokens for one in last], spec)
    metrics = (
        _compared(first, last, spec.seed) | {"kl": kl} | _taxed(before, after, groups, spec, run)
    )
    run.reporter.say(EventKind.EVALUATION, metrics, step=spec.updates)
    return metrics


def _taxed(
    before: LoadedModel, after: LoadedModel, groups: Sequence[Group], spec: RolloutSpec, run: Run
) -> dict[str, object]:
    """Held-out perplexity before and after: what was paid in the language that people use."""
    found: dict[str, object] = {}
    for when, policy in (("before", before), ("after", after)):
        loss = heldout_loss(
            *(policy, groups, spec, run), includes_chosen=True, stage=f"held-out loss {when}"
        )
        found[f"loss_{when}"] = loss._asdict()
        found[f"perplexity_{when}"] = None if loss.value is None else math.exp(loss.value)
    return found


def heldout_prompts(spec: RolloutSpec) -> list[Group]:
    """The first prompts of the test split, filled up from the validation split."""
    found = [*groups_of(spec.data, "test"), *groups_of(spec.data, "validation")]
    return found[: spec.eval_prompts]


class _Stage(NamedTuple):
    reporter: Reporter
    name: str


def _answers(
    policy: LoadedModel, groups: Sequence[Group], scorer: Scorer, spec: RolloutSpec, stage: _Stage
) -> list[Rollout]:
    def say(done: int, total: int) -> None:
        data = {"stage": stage.name, "done": done, "total": total, "unit": "answers"}
        stage.reporter.say(EventKind.PROGRESS, data)

    return answers(
        LocalSampler(policy.model, policy.tokenizer, rows=spec.rows_at_once),
        scorer,
        groups,
        spec,
        n=spec.eval_samples,
        seed=rollout_seed(spec.seed, 2**31),  # of no update
        on_progress=say,
    )


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
def policy_kl(
    policy: LoadedModel, reference: LoadedModel, answered: Sequence[TokenGroup], spec: RolloutSpec
) -> float:
    """KL(policy || reference) a response, estimated on the policy's own answers (k1)."""
    total = 0.0
    for row in rows_under_budget(answered, spec.tokens_per_forward):
        pack = pack_groups(row).to(policy.device)
        logprobs = [
            response_logprobs(one, pack, temperature=spec.temperature).logprob_R
            for one in (policy, reference)
        ]
        total += (logprobs[0] - logprobs[1]).sum().item()
    return total / sum(len(one.responses) for one in answered)
