"""What a policy's own answers to held-out prompts tell: how far it moved, how long and how varied they are.

KL is measured on the answers of the trained policy: its log-probs of them less those of the policy
that the run began with, a response (k1).
"""

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.chat import encode_prompt
from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.data.tokens import Tally
from training.evals.diversity import distinct_pairs
from training.functional.intervals import Measured
from training.models.load import LoadedModel
from training.rollout.explorer import OF_NO_UPDATE, heldout_prompts, rollout_seed
from training.rollout.sampler import Knobs, LocalSampler, Progress, Sample
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.spec.base import RunSpec
from training.spec.events import EventKind
from training.spec.preferences import ReferenceSpec, SftSpec

TEMPERATURE = 1.0  # of the answers: their log-ratios are those of the policies as they are
Samples = Sequence[Sequence[Sample]]  # those of each prompt


class Answers(NamedTuple):
    """What a policy answered, one response a prompt, as tokens and as samples."""

    tokens: list[TokenGroup]
    samples: Samples


def held_out_answers(
    policy: LoadedModel, spec: SftSpec | ReferenceSpec, run: Run, *, tally: Tally, stage: str
) -> Answers:
    """One answer to each of ``eval_prompts`` held-out prompts, with the same random streams of any policy."""
    records = heldout_prompts(spec)[: spec.most_measured or None]
    sampler = LocalSampler(policy.model, policy.tokenizer, max_prompt_tokens=spec.max_prompt_tokens)
    limits = sampler.limits(spec.max_response_tokens)
    read = [
        encode_prompt(policy.tokenizer, one.prompt, max_tokens=limits.prompt) for one in records
    ]
    tally.add("prompts_used", len(read))
    tally.add("prompts_cut", sum(one.cut > 0 for one in read))
    run.reporter.log("The held-out prompts are read.", **tally.as_dict())
    prompts = [one.ids for one in read]
    knobs = Knobs(
        n=1,
        temperature=TEMPERATURE,
        top_p=1.0,
        max_tokens=limits.response,
        seed=rollout_seed(spec.seed, OF_NO_UPDATE),
    )
    with telling(run.reporter, stage) as say:
        samples = sampler.sample_tokens(prompts, knobs, on_progress=say)
    tokens = [
        TokenGroup(
            prompt_id=record.prompt_id,
            prompt=prompt,
            responses=tuple(one.token_ids for one in drawn),
        )
        for record, prompt, drawn in zip(records, prompts, samples, strict=True)
    ]
    return Answers(tokens, samples)


class Answered(NamedTuple):
    """The answers of one policy, and its log-probs of the trained policy's answers."""

    answers: Answers
    logprobs: list[Tensor]


def answered_by(
    policy: LoadedModel,
    spec: SftSpec | ReferenceSpec,
    run: Run,
    *,
    tally: Tally,
    stage: str,
    of: Answered | None = None,
) -> Answered:
    """``of`` is the trained policy's, which is asked first; None for its own."""
    answers = held_out_answers(policy, spec, run, tally=tally, stage=stage)
    tokens = of.answers.tokens if of else answers.tokens
    return Answered(answers, answer_logprobs(policy, tokens, spec, temperature=TEMPERATURE))


def moved(first: Answered, last: Answered) -> dict[str, object]:
    """KL, length, endings and diversity of the answers; {} where no prompt was asked."""
    tokens = last.answers.tokens
    if not tokens:
        return {}
    kl = kl_a_response(last.logprobs, first.logprobs, tokens)
    return {"kl": kl, **changed(first.answers.samples, last.answers.samples)}


@contextmanager
def telling(reporter: Reporter, stage: str) -> Iterator[Progress]:
    """Says how many answers are sampled, and in the end how long that took."""
    began, answered = time.monotonic(), 0

    def say(done: int, total: int) -> None:
        nonlocal answered
        answered = done
        data = {"stage": stage, "done": done, "total": total, "unit": "answers"}
        reporter.say(EventKind.PROGRESS, data)

    yield say
    seconds = time.monotonic() - began
    if answered:
        told = f"{stage.capitalize()}: {answered:,} in {seconds:.1f} s."
        reporter.log(told, answers=answered, seconds=round(seconds, 3))


@torch.no_grad()
def answer_logprobs(
    policy: LoadedModel, answered: Sequence[TokenGroup], spec: RunSpec, *, temperature: float
) -> list[Tensor]:
    """The log-prob of every token of these answers, a row after the other."""
    packs = (
        pack_groups(row).to(policy.device)
        for row in rows_under_budget(answered, spec.tokens_per_forward)
    )
    return [
        response_logprobs(policy, pack, temperature=temperature).logprob_R.cpu() for pack in packs
    ]


def kl_a_response(
    policy: Sequence[Tensor], reference: Sequence[Tensor], answered: Sequence[TokenGroup]
) -> float:
    """KL(policy || reference) of a response, over answers of the policy."""
    apart = math.fsum(
        (one - other).sum().item() for one, other in zip(policy, reference, strict=True)
    )
    return apart / sum(len(one.responses) for one in answered)


def changed(before: Samples, after: Samples) -> dict[str, object]:
    """Tokens an answer, the share that ended by itself, and distinct word pairs, before and after."""
    return {
        f"{name}_{when}": measure(samples)
        for name, measure in (("length", _length), ("eos", _eos_share), ("distinct", _distinct))
        for when, samples in (("before", before), ("after", after))
    }


def taxed(before: Measured, after: Measured) -> Mapping[str, object]:
    """Held-out loss and perplexity: what was paid in the language that people use."""
    told: dict[str, object] = {}
    for when, loss in (("before", before), ("after", after)):
        told[f"loss_{when}"] = loss._asdict()
        told[f"perplexity_{when}"] = None if loss.value is None else math.exp(loss.value)
    return told


def _length(samples: Samples) -> float:
    return statistics.fmean(len(each.token_ids) for one in samples for each in one)


def _eos_share(samples: Samples) -> float:
    return statistics.fmean(each.finished for one in samples for each in one)


def _distinct(samples: Samples) -> float | None:
    return distinct_pairs(each.text for one in samples for each in one)
