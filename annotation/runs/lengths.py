"""How long the responses of an earlier run were, and how long they might be under another limit of tokens."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Avg, FloatField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from annotation.runs.models import RunEvent, TrainingRun
from training.spec.events import EventKind

LIMIT = "max_response_tokens"


class Lengths(NamedTuple):
    """Mean tokens of a response, at most, and the share that the limit of the run cut."""

    tokens: float
    cut: float


class Growth(NamedTuple):
    """How many times as many tokens responses have under another limit, at most, and the share that was cut."""

    factor: float
    cut: float


def growth(
    run: TrainingRun, spec: Mapping[str, Any]
) -> Growth | None:  # Any: settings of many types
    """Those that were cut go on to the new limit, all others stay; a lower limit cuts what is sampled.

    None where the limit is the same, or the run does not tell how long its responses were.
    """
    there, here = run.spec.get(LIMIT), spec.get(LIMIT)
    if not there or not here or there == here:
        return None
    told = sampled_lengths(run) if "updates" in run.spec else _read_lengths(run, there)
    if told is None or ("updates" not in run.spec and here < there):
        return None
    if here < there:
        return Growth(min(1.0, here / told.tokens), told.cut)
    return Growth(1 + told.cut * (here - there) / told.tokens, told.cut)


def sampled_lengths(run: TrainingRun) -> Lengths | None:
    """Of the responses that PPO or GRPO sampled, by what its updates told."""
    said = RunEvent.objects.filter(run=run, kind=EventKind.METRICS)
    told = said.aggregate(tokens=_mean("length"), ended=_mean("eos_share"))
    if not told["tokens"] or told["ended"] is None:
        return None
    return Lengths(told["tokens"], 1 - told["ended"])


def _mean(name: str) -> Avg:
    return Avg(Cast(KT(f"data__{name}"), FloatField()))


def _read_lengths(run: TrainingRun, limit: int) -> Lengths | None:
    """Of the responses that a run read, as long as its limit at most."""
    records = (run.result.get("metrics") or {}).get("records") or {}
    one_by_one = ("responses_used", "good_responses", "bad_responses")
    responses = sum(records.get(name, 0) for name in one_by_one)
    responses += 2 * records.get("pairs_used", 0)
    if not responses:
        return None
    return Lengths(limit, min(1.0, records.get("responses_cut", 0) / responses))
