"""The one number that a run of each kind is judged by, out of all that its result holds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import F, FloatField, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from annotation.core.errors import InvalidInput
from annotation.core.jobs import JobModel
from annotation.runs.models import TrainingRun

Status = JobModel.Status
NOT_YET = {
    Status.QUEUED: "It waits in line.",
    Status.RUNNING: "It is measured when the training is over.",
    Status.FAILED: "The run failed.",
    Status.CANCELLED: "The run was cancelled.",
}


class Measure(NamedTuple):
    """Which of a result's metrics counts, and where its interval and its ends lie."""

    name: str
    key: str
    is_better_low: bool = False
    before: str = ""
    after: str = ""

    @property
    def lookup(self) -> str:
        """The number in the column ``result``."""
        tail = "" if self.key == GAIN.key else "__value"
        return f"result__metrics__{self.key}{tail}"


ACCURACY = Measure("held-out accuracy", "accuracy")
LOSS = Measure("held-out loss", "loss_after", is_better_low=True, before="loss_before")
GAIN = Measure("reward gain", "reward_gain", before="reward_before", after="reward_after")
MEASURES = {
    "reward_model": ACCURACY,
    "dpo": ACCURACY,
    "kto": ACCURACY,
    "sft": LOSS,
    "ppo": GAIN,
    "grpo": GAIN,
}


class Headline(NamedTuple):
    """What a run came to; ``value`` is None where ``reason`` says why."""

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    n: int | None = None
    before: float | None = None
    after: float | None = None
    is_better_low: bool = False
    reason: str = ""


def headline_of(run: TrainingRun) -> Headline:
    """The number of the run, or why there is none."""
    measure = MEASURES.get(run.kind)
    if measure is None:
        return Headline("", None, reason="No number is known for runs of this kind.")
    if run.status != Status.DONE:
        return Headline(measure.name, None, reason=NOT_YET[Status(run.status)])
    metrics = run.result.get("metrics") or {}
    told = _told(metrics, measure)
    value = _number(told.get("value"))
    return Headline(
        name=measure.name,
        value=value,
        interval=_interval(told.get("interval")),
        n=told.get("n"),
        before=_number(_value(metrics.get(measure.before))),
        after=_number(_value(metrics.get(measure.after))),
        is_better_low=measure.is_better_low,
        reason="" if value is not None else _reason(metrics, told),
    )


def by_result(runs: QuerySet[TrainingRun], kind: str) -> QuerySet[TrainingRun]:
    """The runs of a kind, the best first; those without a number last, the newest first."""
    measure = MEASURES[checked_kind(kind)]
    number = F("number")
    order = number.asc if measure.is_better_low else number.desc
    numbered = runs.filter(kind=kind).alias(number=Cast(KT(measure.lookup), FloatField()))
    return numbered.order_by(order(nulls_last=True), "-pk")


def checked_kind(kind: str) -> str:
    """A kind of run that a request names. Raises InvalidInput."""
    if kind not in MEASURES:
        raise InvalidInput.at("kind", f"{kind!r} is not one of {', '.join(MEASURES)}.")
    return kind


def _told(metrics: Mapping[str, Any], measure: Measure) -> Mapping[str, Any]:  # Any: JSON
    """Value, interval, n and reason; those of a gain stand beside it."""
    told = metrics.get(measure.key)
    if isinstance(told, dict):
        return told
    return {**metrics, "value": told}


def _value(told: Any) -> Any:  # Any: JSON
    return told.get("value") if isinstance(told, dict) else told


def _number(value: Any) -> float | None:  # Any: JSON
    return float(value) if isinstance(value, (int, float)) else None


def _interval(ends: Any) -> tuple[float, float] | None:  # Any: JSON
    match ends:
        case [float() | int() as low, float() | int() as high]:
            return float(low), float(high)
    return None


def _reason(metrics: Mapping[str, Any], told: Mapping[str, Any]) -> str:  # Any: JSON
    return str(told.get("reason") or metrics.get("reason") or "The run measured nothing.")
