"""What PPO gained on held-out prompts: the reward before and after, paired by prompt.

Both policies answer with the same random streams. The interval is a bootstrap over prompts of the
difference; KL is measured on the answers of the later policy.
"""

import statistics
from collections.abc import Mapping, Sequence
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
        return {"reason": "There are no held-out prompts: none is in the test split."}
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
    """The first prompts of the test split; of the validation split where there is no test."""
    if not spec.eval_prompts:
        return []
    return groups_of(spec.data, "test", at_most=spec.eval_prompts) or groups_of(
        spec.data, "validation", at_most=spec.eval_prompts
    )


class _Stage(NamedTuple):
    reporter: Reporter
    name: str


class _Answers(NamedTuple):
    """One answer a prompt: its tokens, the sample, the reward."""

    tokens: list[TokenGroup]
    samples: list[Sample]
    rewards: list[float]


def _answers(
    policy: LoadedModel, groups: Sequence[Group], scorer: Scorer, spec: PpoSpec, stage: _Stage
) -> _Answers:
    prompts = [
        encode_prompt(policy.tokenizer, one.prompt, max_tokens=spec.max_prompt_tokens).ids
        for one in groups
    ]
    knobs = Knobs(
        n=1,
        temperature=spec.temperature,
        top_p=spec.top_p,
        max_tokens=spec.max_response_tokens,
        seed=rollout_seed(spec.seed, 2**31),  # of no update
    )

    def say(done: int, total: int) -> None:
        data = {"stage": stage.name, "done": done, "total": total, "unit": "answers"}
        stage.reporter.say(EventKind.PROGRESS, data)

    sampler = LocalSampler(policy.model, policy.tokenizer)
    samples = [one[0] for one in sampler.sample_tokens(prompts, knobs, on_progress=say)]
    scores = scorer.score([one.prompt for one in groups], [[one.text] for one in samples])
    tokens = [
        TokenGroup(prompt_id=group.prompt_id, prompt=prompt, responses=(sample.token_ids,))
        for group, prompt, sample in zip(groups, prompts, samples, strict=True)
    ]
    return _Answers(tokens, samples, [one[0] for one in scores])


def _compared(before: _Answers, after: _Answers, seed: int) -> dict[str, object]:
    gains = [b - a for a, b in zip(before.rewards, after.rewards, strict=True)]
    return {
        "reward_before": statistics.fmean(before.rewards),
        "reward_after": statistics.fmean(after.rewards),
        "reward_gain": statistics.fmean(gains),
        "interval": cluster_bootstrap([[gain] for gain in gains], seed=seed),
        "n": len(gains),
        "length_before": statistics.fmean(len(one.token_ids) for one in before.samples),
        "length_after": statistics.fmean(len(one.token_ids) for one in after.samples),
        "eos_before": statistics.fmean(one.finished for one in before.samples),
        "eos_after": statistics.fmean(one.finished for one in after.samples),
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
    return total / len(answers)
