"""Reading runs: rows of a project, curves, samples, how fast it goes, whether a worker is there."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from django.db.models import Count, F, Func, Max, Min, Q, QuerySet
from django.db.models.functions import Mod

from annotation.core.errors import InvalidInput, NotFound
from annotation.datasets.models import DatasetSnapshot
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.registry.servers import servers_of
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.specs import trained_kind
from training.spec.events import EventKind
from training.spec.metrics import METRICS, Tells

POINTS = 600  # of one curve
SAMPLED = 40  # steps with samples to choose from
ORDER = list(Tells)
PLACES = {name: place for place, name in enumerate(METRICS)}
RECENT_STEPS = 20  # from which the rate is taken


def runs_of(project: Project) -> QuerySet[TrainingRun]:
    """The runs of a project with what their rows show, newest first."""
    rows = TrainingRun.objects.filter(project=project).order_by("-pk")
    return rows.select_related(
        *("project", "snapshot", "base_model", "reward_model", "held_out_reward_model"),
        *("sampler", "model_version", "created_by"),
    )


def run_in(project: Project, run_id: int) -> TrainingRun:
    """One run of the project. Raises NotFound."""
    run = runs_of(project).filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"There is no run {run_id} in {project.name}.")
    return run


def built_snapshots(project: Project) -> QuerySet[DatasetSnapshot]:
    """The snapshots that can be trained on, newest first."""
    built = DatasetSnapshot.objects.filter(project=project, status=DatasetSnapshot.Status.DONE)
    return built.order_by("-pk")


def base_models(project: Project, kind: str) -> QuerySet[ModelVersion]:
    """The local models that a run of this kind may start from: policies first, the newest first."""
    local = ModelVersion.objects.filter(project=project, backend=ModelVersion.Backend.LOCAL)
    kinds = {ModelVersion.Kind.POLICY, trained_kind(kind)}
    return local.filter(kind__in=kinds).order_by("kind", "-pk")


def reward_models(project: Project) -> QuerySet[ModelVersion]:
    """The project's local reward models, newest first."""
    rows = ModelVersion.objects.filter(project=project, kind=ModelVersion.Kind.REWARD)
    return rows.filter(backend=ModelVersion.Backend.LOCAL).order_by("-pk")


def sampling_servers(project: Project) -> QuerySet[ModelVersion]:
    """The servers that may sample for a run, newest first: policies that an admin answers for and that are in use."""
    servers = servers_of(project).filter(kind=ModelVersion.Kind.POLICY)
    return servers.exclude(stage=ModelVersion.Stage.RETIRED)


def may_sample(project: Project, server: ModelVersion) -> bool:
    return sampling_servers(project).filter(pk=server.pk).exists()


def snapshot_in(project: Project, pk: int) -> DatasetSnapshot:
    """The snapshot a request names. Raises InvalidInput at its field."""
    rows: QuerySet[DatasetSnapshot] = DatasetSnapshot.objects.filter(project=project, pk=pk)
    row = rows.first()
    if row is None:
        raise InvalidInput.at("snapshot", f"There is no snapshot {pk} in this project.")
    return row


def model_in(project: Project, pk: int, *, field: str) -> ModelVersion:
    """The model version a request names. Raises InvalidInput at its field."""
    row = ModelVersion.objects.filter(project=project, pk=pk).first()
    if row is None:
        raise InvalidInput.at(field, f"There is no model version {pk} in this project.")
    return row


class Curves(NamedTuple):
    """The metrics of a run by name, thinned to at most `POINTS` steps; missing values are None."""

    steps: list[int]
    series: dict[str, list[float | None]]


def curves_of(run: TrainingRun) -> Curves:
    """What the live charts draw: what the run told, and how fast it went, in the order in which people look."""
    rows = list(thinned(run).order_by("step", "pk").values_list("step", "at", "data"))
    names = sorted({name for _, _, data in rows for name in data}, key=rank)
    series = {name: [number(data.get(name)) for _, _, data in rows] for name in names}
    return Curves([step for step, _, _ in rows], series | speeds(run, rows))


def told_steps(run: TrainingRun) -> tuple[list[str], Iterator[list[Any]]]:  # Any: JSON
    """The head and the rows of a table of all metrics, a step each: nothing is thinned, and what a step did not tell is
    left empty.
    """
    events = RunEvent.objects.filter(run=run, kind=EventKind.METRICS)
    told = events.annotate(name=Func(F("data"), function="jsonb_object_keys"))
    names = sorted(told.values_list("name", flat=True).distinct(), key=rank)
    steps = events.order_by("step", "pk").values_list("step", "at", "data").iterator()
    rows = ([step, at.isoformat(), *map(data.get, names)] for step, at, data in steps)
    return ["step", "at", *names], rows


def thinned(run: TrainingRun) -> QuerySet[RunEvent]:
    """The metrics of at most `POINTS` steps, and of so many of those that tell of held-out records."""
    metrics = RunEvent.objects.filter(run=run, kind=EventKind.METRICS)
    last = metrics.aggregate(last=Max("step"))["last"] or 0
    looked = int(run.spec.get("eval_every") or 1)
    numbered = metrics.annotate(
        rest=Mod("step", stride(last)), looked=Mod("step", stride(last, looked))
    )
    return numbered.filter(Q(rest=0) | Q(looked=0) | Q(step__in=(1, last)))


Row = tuple[int, datetime, dict[str, Any]]  # Any: JSON


def speeds(run: TrainingRun, rows: Sequence[Row]) -> dict[str, list[float | None]]:
    """Seconds a step between what it told, and response tokens a second; {} before the second step."""
    if not rows:
        return {}
    starts = list(events_of(run, EventKind.STARTED).values_list("at", flat=True))
    taken = [None, *(_seconds(early, late, starts) for early, late in pairwise(rows))]
    responses = run.spec.get("rollouts_per_update", 0)
    drawn = [
        number(data.get("tokens")) or (number(data.get("length")) or 0) * responses
        for _, _, data in rows
    ]
    told = {
        "seconds_a_step": taken,
        "tokens_a_second": [
            tokens / seconds if tokens and seconds else None
            for tokens, seconds in zip(drawn, taken, strict=True)
        ],
    }
    return {name: values for name, values in told.items() if any(values)}


def _seconds(early: Row, late: Row, starts: Sequence[datetime]) -> float | None:
    """Of one step between two that were told; None where the run stopped in between."""
    steps, seconds = late[0] - early[0], (late[1] - early[1]).total_seconds()
    is_whole = steps > 0 and seconds > 0
    return (
        seconds / steps if is_whole and not any(early[1] < at <= late[1] for at in starts) else None
    )


def stride(last: int, every: int = 1) -> int:
    """The multiple of ``every`` at which at most `POINTS` steps up to the last one lie."""
    return every * (math.ceil(last / every / POINTS) or 1)


def rank(name: str) -> tuple[int, int, str]:
    """What people look at first comes first; what is not known comes last."""
    known = METRICS.get(name)
    if known is None:
        return len(ORDER), 0, name
    return ORDER.index(known.tells), PLACES[name], name


def number(value: Any) -> float | None:  # Any: JSON
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None


class Pace(NamedTuple):
    """How fast a run goes: units a second, and the seconds that are left; None while unknown."""

    rate: float | None
    seconds_left: float | None


def pace_of(run: TrainingRun) -> Pace:
    """From the times of the newest steps of this attempt, so that waiting does not count."""
    if run.status != TrainingRun.Status.RUNNING:
        return Pace(None, None)
    said = RunEvent.objects.filter(run=run)
    started = said.filter(kind=EventKind.STARTED).aggregate(last=Max("pk"))["last"] or 0
    metrics = said.filter(kind=EventKind.METRICS, pk__gt=started).order_by("-pk")
    times = list(metrics.values_list("step", "at")[:RECENT_STEPS])
    gaps = [
        (late - early).total_seconds() / max(1, high - low)
        for (high, late), (low, early) in pairwise(times)
    ]
    if not gaps or (mean := sum(gaps) / len(gaps)) <= 0:
        return Pace(None, None)
    left = max(0, run.progress_total - run.progress_done)
    return Pace(1 / mean, left * mean)


def computes_half(project: Project) -> bool | None:
    """Whether the machine of the newest run that told of one computes in bfloat16; None before the first."""
    return _told_of_machine(project, "bfloat16")


def usual_preset(project: Project) -> str:
    """The settings that a form begins with: those for slow cores where the newest run found no GPU."""
    return "demo" if _told_of_machine(project, "is_gpu") is False else "standard"


def _told_of_machine(project: Project, fact: str) -> bool | None:
    rows = TrainingRun.objects.filter(project=project, machine__has_key=fact).order_by("-pk")
    told: Any = rows.values_list(f"machine__{fact}", flat=True).first()  # Any: JSON
    return None if told is None else bool(told)


def sampled_steps(run: TrainingRun) -> list[int]:
    """Steps that have samples, in order: at most `SAMPLED`, spread over the run, and the newest."""
    samples = RunEvent.objects.filter(run=run, kind=EventKind.SAMPLE)
    steps = list(samples.order_by("step").values_list("step", flat=True).distinct())
    stride = math.ceil(len(steps) / SAMPLED) or 1
    return sorted({*steps[::stride], *steps[-1:]})


def samples_at(run: TrainingRun, step: int | None) -> list[RunEvent]:
    """The samples of one step (the newest one where none is named), at most 50."""
    samples = RunEvent.objects.filter(run=run, kind=EventKind.SAMPLE)
    if step is None:
        step = samples.aggregate(last=Max("step"))["last"]
    return list(samples.filter(step=step).order_by("pk")[:50])


def events_of(run: TrainingRun, *kinds: EventKind) -> QuerySet[RunEvent]:
    """What the run said, newest first."""
    rows = RunEvent.objects.filter(run=run).order_by("-pk")
    return rows.filter(kind__in=kinds) if kinds else rows


class Alarm(NamedTuple):
    """What a guard said, however often: its newest sentence, and the steps between which it spoke."""

    action: str
    message: str
    first: int
    last: int
    times: int


def alarms_of(run: TrainingRun) -> list[Alarm]:
    """One for each guard and what it did, the newest first."""
    said = RunEvent.objects.filter(run=run, kind=EventKind.GUARD).order_by()
    by_guard = said.values("data__name", "data__action").annotate(
        first=Min("step"), last=Max("step"), times=Count("pk"), newest=Max("pk")
    )
    rows = sorted(by_guard, key=lambda row: -row["newest"])
    told = RunEvent.objects.in_bulk([row["newest"] for row in rows])
    return [
        Alarm(
            action=str(row["data__action"]),
            message=str(told[row["newest"]].data.get("message", "")),
            **{name: row[name] for name in ("first", "last", "times")},
        )
        for row in rows
    ]
