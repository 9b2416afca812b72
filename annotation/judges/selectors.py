"""Finding constitutions, judges, their runs, and what they have still to do."""

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, Judgment
from annotation.core.errors import NotFound
from annotation.core.jobs import JobModel
from annotation.generation.models import Candidate
from annotation.judges.models import (
    Constitution,
    Hearing,
    Judge,
    JudgeRun,
    Revision,
    RevisionRun,
)
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion

AnyRun = TypeVar("AnyRun", bound=JobModel)


def constitutions_of(project: Project) -> QuerySet[Constitution]:
    """The versions of the project's constitution, newest first."""
    rows = Constitution.objects.filter(project=project)
    return rows.select_related("created_by").order_by("-pk")


def constitution_for(project: Project, pk: int) -> Constitution:
    """One version of the project's constitution."""
    row = constitutions_of(project).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no constitution {pk} in {project.name}.")
    return row


def judges_of(project: Project) -> QuerySet[Judge]:
    """The project's judges with their models and constitutions, newest first."""
    rows = Judge.objects.filter(project=project)
    return rows.select_related("model", "constitution", "labeler", "created_by").order_by("-pk")


def judge_for(project: Project, pk: int) -> Judge:
    """One judge of the project."""
    judge = judges_of(project).filter(pk=pk).first()
    if judge is None:
        raise NotFound(f"There is no judge {pk} in {project.name}.")
    judge.project = project
    return judge


def judging_models_of(project: Project) -> QuerySet[ModelVersion]:
    """The models that may be appointed: what answers chats."""
    kinds = (ModelVersion.Kind.POLICY, ModelVersion.Kind.JUDGE)
    return ModelVersion.objects.filter(project=project, kind__in=kinds).order_by("-pk")


def judge_runs_of(project: Project) -> QuerySet[JudgeRun]:
    """The runs of the project's judges, newest first."""
    rows = JudgeRun.objects.filter(project=project)
    return rows.select_related("judge", "created_by").order_by("-pk")


def revision_runs_of(project: Project) -> QuerySet[RevisionRun]:
    """The revision runs of the project's judges, newest first."""
    rows = RevisionRun.objects.filter(project=project)
    return rows.select_related("judge", "source", "created_by").order_by("-pk")


def run_for(project: Project, rows: QuerySet[AnyRun], pk: int) -> AnyRun:
    """One of these runs."""
    run = rows.filter(pk=pk).first()
    if run is None:
        raise NotFound(f"There is no such run {pk} in {project.name}.")
    return run


def wanted(run: JudgeRun) -> QuerySet[Comparison]:
    """The comparisons that the run has still to hear, oldest first. Gold is left out: its verdict is known."""
    heard = Hearing.objects.filter(judge_id=run.judge_id, comparison=OuterRef("pk"))
    heard = heard.exclude(outcome=Hearing.Outcome.FAILED)
    rows = Comparison.objects.filter(~Exists(heard), project_id=run.project_id)
    rows = rows.exclude(kind=Comparison.Kind.GOLD)
    people = Judgment.objects.filter(comparison=OuterRef("pk"), labeler__kind=User.Kind.PERSON)
    is_judged = Exists(people.filter(withdrawn_at=None))
    if run.wanted == JudgeRun.Wanted.JUDGED:
        rows = rows.filter(is_judged)
    if run.wanted == JudgeRun.Wanted.UNJUDGED:
        rows = rows.filter(~is_judged).exclude(state=Comparison.State.CLOSED)
    return _at_most(rows.order_by("pk"), run.max_comparisons, done=_done(run))


def _done(run: JudgeRun) -> int:
    return run.hearings.exclude(outcome=Hearing.Outcome.FAILED).count() if run.pk else 0


def unrevised(run: RevisionRun) -> QuerySet[Candidate]:
    """The candidates of policies that the run has still to revise, oldest first."""
    seen = Revision.objects.filter(judge_id=run.judge_id, candidate=OuterRef("pk"))
    seen = seen.exclude(outcome=Revision.Outcome.FAILED)
    rows = Candidate.objects.filter(~Exists(seen), project_id=run.project_id)
    rows = rows.filter(source=Candidate.Source.POLICY)
    if run.source_id is not None:
        rows = rows.filter(policy_id=run.source_id)
    done = run.revisions.exclude(outcome=Revision.Outcome.FAILED).count() if run.pk else 0
    return _at_most(rows.order_by("pk"), run.max_candidates, done=done)


def _at_most(
    rows: QuerySet[Any], most: int, *, done: int
) -> QuerySet[Any]:  # Any: rows of one kind
    return rows if most == 0 else rows[: max(0, most - done)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingFacts:
    """How the hearings of a run (or of a judge) ended."""

    judged: int
    swayed: int
    unparsed: int
    cyclic: int
    failed: int


def facts_of(hearings: QuerySet[Hearing]) -> HearingFacts:
    """Hearings by their outcome."""
    counts = {outcome.value: Count("pk", filter=Q(outcome=outcome)) for outcome in Hearing.Outcome}
    return HearingFacts(**hearings.aggregate(**counts))


def hearings_of(judge: Judge, outcome: str = "") -> QuerySet[Hearing]:
    """What the judge said, newest first; of one outcome, where it names one."""
    rows = Hearing.objects.filter(judge=judge).select_related("comparison", "run")
    rows = rows.filter(outcome=outcome) if outcome in Hearing.Outcome else rows
    return rows.order_by("-pk")


def revisions_of(run: RevisionRun) -> QuerySet[Revision]:
    """The revisions of a run with their candidates, newest first."""
    rows = Revision.objects.filter(run=run)
    return rows.select_related("candidate", "demonstration").order_by("-pk")
