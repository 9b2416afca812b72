"""Reading rounds: those of a project, the one under way, where each of its parts stands."""

from typing import NamedTuple

from django.db.models import QuerySet

from annotation.comparisons.batches import batch_of
from annotation.comparisons.models import Comparison
from annotation.core.errors import NotFound
from annotation.core.jobs import JobModel, waiting_text
from annotation.evaluations.selectors import why_it_waits as why_evaluation_waits
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import serving
from annotation.rounds.models import Round
from annotation.rounds.plans import Plan
from annotation.runs.models import TrainingRun

State, Status = Round.State, JobModel.Status
JOB_PARTS = {
    Round.Stage.GENERATE: ("generation", "generation-run"),
    Round.Stage.SNAPSHOT: ("snapshot", "datasets-snapshot"),
    Round.Stage.REWARD: ("reward_run", "runs-detail"),
    Round.Stage.POLICY: ("policy_run", "runs-detail"),
}


def rounds_of(project: Project) -> QuerySet[Round]:
    """The rounds of a project with the rows of their parts, newest first."""
    rows = Round.objects.filter(project=project).select_related(
        *["project", "policy", "sampler", "generation", "batch", "snapshot", "created_by"],
        *["evaluation__batch", "evaluation__generation", "evaluation__baseline_generation"],
        *["reward_run__model_version", "policy_run__model_version"],
    )
    return rows.order_by("-number")


def round_in(project: Project, number: int) -> Round:
    """One round of the project by its number. Raises NotFound."""
    row = rounds_of(project).filter(number=number).first()
    if row is None:
        raise NotFound(f"There is no round {number} in {project.name}.")
    return row


def under_way(project: Project) -> Round | None:
    """The round that must end before the next can start; None where there is none."""
    live = (State.RUNNING, State.PAUSED, State.FAILED)
    return rounds_of(project).filter(state__in=live).first()


def start_policy(project: Project) -> ModelVersion | None:
    """Where the next round starts: the policy that serves, which the last round may have promoted."""
    return serving(project=project, kind=ModelVersion.Kind.POLICY)


def start_policies(project: Project) -> QuerySet[ModelVersion]:
    """The local policies a round may start from, the serving one first."""
    rows = ModelVersion.objects.filter(project=project, kind=ModelVersion.Kind.POLICY)
    return rows.filter(backend=ModelVersion.Backend.LOCAL).order_by("-stage", "-pk")


class Part(NamedTuple):
    """One part of a round as its page shows it; ``key`` is that of the row its page is about."""

    stage: str
    title: str
    state: str  # waiting, queued, running, paused, failed, cancelled, skipped or done
    done: int
    total: int
    unit: str
    route: str
    key: int | None
    error: str


def parts_of(row: Round) -> list[Part]:
    """Every part of the round in order, with how far it is and where it can be read."""
    order = list(Round.Stage)
    here = len(order) if row.state == State.DONE else order.index(Round.Stage(row.stage))
    return [_part(row, stage, place - here) for place, stage in enumerate(order)]


def waiting_for(row: Round) -> str:
    """What the part under way waits for where no worker has taken it yet; empty where one has."""
    stage = Round.Stage(row.stage)
    if row.state != State.RUNNING:
        return ""
    if stage == Round.Stage.EVALUATE:
        return why_evaluation_waits(row.evaluation) if row.evaluation else ""
    job: JobModel | None = getattr(row, JOB_PARTS[stage][0]) if stage in JOB_PARTS else None
    return waiting_text(job) if job else ""


def labels_part(row: Round) -> Part:
    """The part that waits for people's labels."""
    return _part(row, Round.Stage.LABEL, 0)


def _part(row: Round, stage: Round.Stage, place: int) -> Part:
    """``place`` is negative for what lies behind, 0 for what is under way."""
    state = "done" if place < 0 else "waiting" if place else row.state
    if stage == Round.Stage.REWARD and not Plan.from_json(row.plan).has_reward_model:
        state = "skipped"
    empty = Part(stage, stage.label, state, 0, 0, "", "", None, "")
    if stage == Round.Stage.LABEL:
        return _labels(row, empty)
    if stage == Round.Stage.EVALUATE:
        return _votes(row, empty)
    if stage not in JOB_PARTS:
        return empty
    name, route = JOB_PARTS[stage]
    job: JobModel | None = getattr(row, name)
    if job is None:
        return empty
    if state == "done" and isinstance(job, TrainingRun):  # what it counted last are batches
        return empty._replace(route=route, key=job.pk)
    return empty._replace(
        state=job.status if (state, job.status) == (State.RUNNING, Status.QUEUED) else state,
        done=job.progress_done,
        total=job.progress_total,
        unit=job.progress_unit,
        route=route,
        key=job.pk,
        error=job.error,
    )


def _labels(row: Round, part: Part) -> Part:
    if row.batch_id is None:
        return part
    batch = batch_of(row.project, row.batch_id)
    return part._replace(
        done=batch.labels_given,  # type: ignore[attr-defined] # annotated
        total=batch.labels_wanted,  # type: ignore[attr-defined] # annotated
        unit="labels",
        route="comparisons-batch",
        key=batch.pk,
    )


def _votes(row: Round, part: Part) -> Part:
    """How far the blind evaluation is: answers first, then votes; nothing where people are not asked."""
    asked = row.evaluation
    if asked is None:
        return part._replace(error=row.verdict.get("people", ""))
    part = part._replace(route="evaluations-detail", key=asked.pk, error=asked.error)
    if asked.batch_id is None:
        runs = [run for run in (asked.generation, asked.baseline_generation) if run is not None]
        done = sum(run.progress_done for run in runs)
        return part._replace(done=done, total=len(runs) * asked.prompts, unit="answers")
    there = asked.batch.comparisons.all() if asked.batch else Comparison.objects.none()
    there = there.exclude(kind=Comparison.Kind.GOLD)
    done = there.filter(state=Comparison.State.JUDGED).count()
    return part._replace(done=done, total=there.count(), unit="blind votes")
