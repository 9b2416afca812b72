"""What a policy's own answers to held-out prompts tell: how far it moved, how long and how varied they are.

KL is measured on the answers of the trained policy: its log-probs of them less those of the policy
that the run began with, a response (k1).
"""

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.evals.diversity import distinct_pairs
from training.functional.intervals import Measured
from training.models.load import LoadedModel
from training.rollout.sampler import Progress, Sample
from training.runtime.metrics import Reporter
from training.spec.base import RunSpec
from training.spec.events import EventKind

Samples = Sequence[Sequence[Sample]]  # those of each prompt


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
