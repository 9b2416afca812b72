"""What PPO gained on held-out prompts: the reward before and after, paired by prompt.

Both policies answer with the same random streams. The interval is a bootstrap over prompts of the
difference; KL is measured on the answers of the later policy.
"""

import statistics
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import torch

from training.data.chat import Limits, encode_prompt
from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.data.records import groups_of
from training.functional.intervals import cluster_bootstrap
from training.models.load import LoadedModel, load_policy
from training.models.reward import load_reward_model
from training.rollout.explorer import rollout_seed
from training.rollout.sampler import Knobs, LocalSampler, Sample
from training.rollout.scoring import Scorer
from training.runtime.device import pick_device
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.spec.events import EventKind
from training.spec.records import Group
from training.spec.runs import PpoSpec


def evaluate(run: Run, spec: PpoSpec) -> Mapping[str, object]:
    """Mean rewards of the model the run began with and of its artifact, and the difference."""
    groups = heldout_prompts(spec)
    if not groups:
        return {"reason": "There are no held-out prompts: none is in the test or validation split."}
    device = pick_device()
    before = load_policy(spec.model, precision=spec.precision, device=device)
    after = load_policy(str(run.artifact), precision=spec.precision, device=device)
    scorer = Scorer(
        reward=load_reward_model(spec.reward_model, precision=spec.precision, device=device),
        limits=Limits(spec.max_prompt_tokens, spec.max_response_tokens),
        budget=spec.tokens_per_forward,
    )
    first = _answers(before, groups, scorer, spec, _Stage(run.reporter, "held-out answers before"))
    last = _answers(after, groups, scorer, spec, _Stage(run.reporter, "held-out answers after"))
    kl = policy_kl(after, before, last.tokens, spec)
    metrics = _compared(first, last, spec.seed) | {"kl": kl}
    run.reporter.say(EventKind.EVALUATION, metrics, step=spec.updates)
    return metrics


def heldout_prompts(spec: PpoSpec) -> list[Group]:
    """The first prompts of the test split, filled up from the validation split."""
    found = [*groups_of(spec.data, "test"), *groups_of(spec.data, "validation")]
    return found[: spec.eval_prompts]


class _Stage(NamedTuple):
    reporter: Reporter
    name: str


class _Answers(NamedTuple):
    """The answers to every prompt: their tokens, the samples, the rewards."""

    tokens: list[TokenGroup]
    samples: list[list[Sample]]
    rewards: list[list[float]]

    def mean_reward(self) -> float:
        return statistics.fmean(chain.from_iterable(self.rewards))

    def mean_length(self) -> float:
        return statistics.fmean(len(one.token_ids) for one in chain.from_iterable(self.samples))

    def eos_share(self) -> float:
        return statistics.fmean(one.finished for one in chain.from_iterable(self.samples))


def _answers(
    policy: LoadedModel, groups: Sequence[Group], scorer: Scorer, spec: PpoSpec, stage: _Stage
) -> _Answers:
    prompts = [
        encode_prompt(policy.tokenizer, one.prompt, max_tokens=spec.max_prompt_tokens).ids
        for one in groups
    ]
    knobs = Knobs(
        n=spec.eval_samples,
        temperature=spec.temperature,
        top_p=spec.top_p,
        max_tokens=spec.max_response_tokens,
        seed=rollout_seed(spec.seed, 2**31),  # of no update
    )

    def say(done: int, total: int) -> None:
        data = {"stage": stage.name, "done": done, "total": total, "unit": "answers"}
        stage.reporter.say(EventKind.PROGRESS, data)

    sampler = LocalSampler(policy.model, policy.tokenizer)
    samples = sampler.sample_tokens(prompts, knobs, on_progress=say)
    texts = [[one.text for one in drawn] for drawn in samples]
    tokens = [
        TokenGroup(
            prompt_id=group.prompt_id,
            prompt=prompt,
            responses=tuple(one.token_ids for one in drawn),
        )
        for group, prompt, drawn in zip(groups, prompts, samples, strict=True)
    ]
    return _Answers(tokens, samples, scorer.score([one.prompt for one in groups], texts))


def _compared(before: _Answers, after: _Answers, seed: int) -> dict[str, object]:
    gains = [
        [later - sooner for sooner, later in zip(*answers, strict=True)]
        for answers in zip(before.rewards, after.rewards, strict=True)
    ]
    return {
        "reward_before": before.mean_reward(),
        "reward_after": after.mean_reward(),
        "reward_gain": statistics.fmean(chain.from_iterable(gains)),
        "interval": cluster_bootstrap(gains, seed=seed),
        "n": len(gains),
        "length_before": before.mean_length(),
        "length_after": after.mean_length(),
        "eos_before": before.eos_share(),
        "eos_after": after.eos_share(),
    }


@torch.no_grad()
def policy_kl(
    policy: LoadedModel, reference: LoadedModel, answers: Sequence[TokenGroup], spec: PpoSpec
) -> float:
    """KL(policy || reference) a response, estimated on the policy's own answers (k1)."""
    total = 0.0
    for row in rows_under_budget(answers, spec.tokens_per_forward):
        pack = pack_groups(row).to(policy.device)
        logprobs = [
            response_logprobs(one, pack, temperature=spec.temperature).logprob_R
            for one in (policy, reference)
        ]
        total += (logprobs[0] - logprobs[1]).sum().item()
    return total / sum(len(one.responses) for one in answers)
