"""Reads for agreement: the columns of a scope, the stored report, who the labelers are."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max
from django.db.models.functions import Length
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.selectors import OVERALL, pair_rows, standing_judgments
from annotation.core.errors import InvalidInput
from annotation.projects.models import Project
from annotation.quality.columns import PairColumns, columns_of
from annotation.quality.models import AgreementReport
from annotation.quality.report import Data, Labeler, report_of
from annotation.quality.scope import Scope

IDS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """What tells a report that is still good from one that is not."""

    last_judgment_id: int
    judgments: int


def newest_of(project: Project) -> Newest:
    """The last standing judgment and how many stand; an undone one changes the count."""
    found = standing_judgments(project).aggregate(last=Max("pk"), count=Count("pk"))
    return Newest(last_judgment_id=found["last"] or 0, judgments=found["count"])


def columns_for(project: Project, scope: Scope) -> PairColumns:
    """The judgments of a scope as columns, streamed."""
    return columns_of(
        pair_rows(project, criterion=scope.criterion, where=scope.judgments_q(), chunk_size=20_000)
    )


def computed_report(project: Project, scope: Scope) -> Data:
    """The report of a scope, computed now."""
    columns = columns_for(project, scope)
    return report_of(columns, lengths=lengths_of(project), labelers=labelers_of(columns))


def lengths_of(project: Project) -> dict[int, int]:
    """Characters of each candidate of the project."""
    rows = project.candidates.annotate(length=Length("text")).values_list("pk", "length")
    return dict(rows.iterator(chunk_size=20_000))


def labelers_of(columns: PairColumns) -> dict[int, Labeler]:
    """Names, kinds and rules by id."""
    ids = [int(pk) for pk in columns.labeler_ids]
    users = User.objects.filter(pk__in=ids).values_list("pk", "username", "kind", "rule")
    return {pk: Labeler(name=name, kind=kind, rule=rule) for pk, name, kind, rule in users}


def stored_report(project: Project) -> AgreementReport | None:
    """The newest computed report; None before the first."""
    return AgreementReport.objects.filter(project=project).first()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """A report with its age. A stored one may be behind; one computed for a filter never is."""

    scope: Scope
    report: Data
    computed_at: datetime | None
    is_current: bool


def view_of(project: Project, scope: Scope) -> AgreementView:
    """The stored report for all judgments, a fresh one for a part of them."""
    if not scope.is_everything:
        _refuse_unknown(project, scope)
        return AgreementView(
            scope=scope,
            report=computed_report(project, scope),
            computed_at=timezone.now(),
            is_current=True,
        )
    newest, stored = newest_of(project), stored_report(project)
    if stored is None:
        empty = report_of(columns_of(()), lengths={}, labelers={})
        return AgreementView(
            scope=scope, report=empty, computed_at=None, is_current=newest.judgments == 0
        )
    return AgreementView(
        scope=scope,
        report=stored.data,
        computed_at=stored.computed_at,
        is_current=(stored.last_judgment_id, stored.judgments_counted)
        == (newest.last_judgment_id, newest.judgments),
    )


def _refuse_unknown(project: Project, scope: Scope) -> None:
    if scope.criterion != OVERALL and not project.criteria.filter(name=scope.criterion).exists():
        raise InvalidInput(f"This project has no criterion {scope.criterion!r}.")
    if scope.guideline and not project.guidelines.filter(version=scope.guideline).exists():
        raise InvalidInput(f"This project has no guideline version {scope.guideline}.")
