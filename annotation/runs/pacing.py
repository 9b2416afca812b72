"""How long a run will take, from the times of earlier ones: a prompt (or rollout) at a time, pauses left out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from django.db.models import QuerySet

from annotation.registry.models import ModelVersion
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.weights import Weights, weights_of
from training.spec.events import EventKind

PACED_BY = 3  # earlier runs
LAST_KEY = 2**63 - 1


class Timed(NamedTuple):
    """What an earlier run took: seconds a prompt (or rollout), and seconds before its first and after its last step."""

    a_unit: float
    beside: float


class Basis(NamedTuple):
    """What a time rests on: earlier runs of the kind, of this model or of others whose work is scaled to it."""

    seconds: float
    runs: int
    is_scaled: bool


def seconds_of(
    kind: str,
    spec: Mapping[str, Any],  # Any: settings of many types
    *,
    units: float,
    base_model: ModelVersion,
    weights: Weights | None,
) -> Basis | None:
    """The mean of the newest runs of the kind over this model, else over others of the project; None without any.

    Each is scaled by the work of a token, so that other layers or adapters, or a model of another size, count.
    """
    done = TrainingRun.objects.filter(
        project=base_model.project_id, kind=kind, status=TrainingRun.Status.DONE
    ).order_by("-pk")
    for runs, is_scaled in (
        (done.filter(base_model=base_model), False),
        (done.exclude(base_model=base_model), True),
    ):
        found = _told(runs, spec, units=units, weights=weights, needs_weights=is_scaled)
        if found:
            return Basis(sum(found) / len(found), len(found), is_scaled)
    return None


def _told(
    runs: QuerySet[TrainingRun],
    spec: Mapping[str, Any],  # Any: as above
    *,
    units: float,
    weights: Weights | None,
    needs_weights: bool,
) -> Sequence[float]:
    """The seconds that each of the newest runs speaks for; none of those that cannot be compared."""
    found = []
    for run in runs.select_related("base_model")[:PACED_BY]:
        theirs = weights_of(run.base_model)
        if needs_weights and (weights is None or theirs is None):
            continue
        timed = timed_of(run)
        factor = work(weights, spec) / work(theirs, run.spec) if weights and theirs else 1.0
        if timed is not None:
            found.append(timed.a_unit * units * factor + timed.beside)
    return found


def work(weights: Weights, spec: Mapping[str, Any]) -> int:  # Any: as above
    """Floating point operations a token: 2 a weight forward, 2 back through those passed, 2 for those trained."""
    kept = weights.of_reward_model(int(spec["layers"])) if "layers" in spec else weights
    return 2 * (kept.count + kept.passed(spec) + kept.trained(spec))


def timed_of(run: TrainingRun) -> Timed | None:
    """From the steps that it told of, attempt by attempt: the time between two attempts is nobody's."""
    said = RunEvent.objects.filter(run=run)
    starts = said.filter(kind=EventKind.STARTED).order_by("pk").values_list("pk", flat=True)
    spans = [
        _span(said, after, before) for after, before in pairwise([0, *starts, LAST_KEY])
    ]  # the first is that of a run without such an event
    steps, seconds = (sum(column) for column in zip(*spans, strict=True))
    per_step = run.spec.get("rollouts_per_update" if "updates" in run.spec else "groups_per_step")
    if not steps or not per_step:
        return None
    took = run.result.get("seconds")  # of its last attempt
    beside = max(0.0, took - spans[-1][1]) if isinstance(took, (int, float)) else 0.0
    return Timed(seconds / steps / float(per_step), beside)


def _span(said: QuerySet[RunEvent], after: int, before: int) -> tuple[int, float]:
    """Steps and seconds between the first and the last step of one attempt."""
    told = said.filter(kind=EventKind.METRICS, pk__gt=after, pk__lt=before).order_by("pk")
    first, last = told.first(), told.last()
    if first is None or last is None:
        return 0, 0.0
    return last.step - first.step, (last.at - first.at).total_seconds()
