"""What each run came to in one number (`training.spec.headlines`), and runs in its order."""

from django.db.models import F, FloatField, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from annotation.core.errors import InvalidInput
from annotation.core.jobs import JobModel
from annotation.runs.models import TrainingRun
from training.spec.headlines import GAIN, HEADLINES, Headline, Measure, headline_in

Status = JobModel.Status
NOT_YET = {
    Status.QUEUED: "It waits in line.",
    Status.RUNNING: "It is measured when the training is over.",
    Status.FAILED: "The run failed.",
    Status.CANCELLED: "The run was cancelled.",
}


def headline_of(run: TrainingRun) -> Headline:
    """The number of the run, or why there is none."""
    measure = HEADLINES.get(run.kind)
    if measure is None:
        return Headline("", None, reason="No number is known for runs of this kind.")
    if run.status != Status.DONE:
        return Headline(measure.name, None, reason=NOT_YET[Status(run.status)])
    return headline_in(run.result.get("metrics") or {}, measure)


def by_result(runs: QuerySet[TrainingRun], kind: str) -> QuerySet[TrainingRun]:
    """The runs of a kind, the best first; those without a number last, the newest first."""
    measure = HEADLINES[checked_kind(kind)]
    number = F("number")
    order = number.asc if measure.is_better_low else number.desc
    numbered = runs.filter(kind=kind).alias(number=Cast(KT(_lookup(measure)), FloatField()))
    return numbered.order_by(order(nulls_last=True), "-pk")


def checked_kind(kind: str) -> str:
    """A kind of run that a request names. Raises InvalidInput."""
    if kind not in HEADLINES:
        raise InvalidInput.at("kind", f"{kind!r} is not one of {', '.join(HEADLINES)}.")
    return kind


def _lookup(measure: Measure) -> str:
    """Where the number lies in the column ``result``."""
    tail = "" if measure == GAIN else "__value"
    return f"result__metrics__{measure.key}{tail}"
