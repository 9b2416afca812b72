"""The agreement page: do our labelers agree, who does not, since when."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET

from annotation.accounts.authentication import person
from annotation.comparisons.services.judging import ring_agreement
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from annotation.quality import drawings
from annotation.quality.cards import cards_of
from annotation.quality.scope import LabelerKind, Scope
from annotation.quality.selectors import AgreementView, view_of
from annotation.quality.tables import csv_answer

PERIODS = ((0, "all time"), (7, "last 7 days"), (30, "last 30 days"), (90, "last 90 days"))


@require_GET
def agreement(request: HttpRequest, project_id: int) -> HttpResponse:
    """The page, for all judgments or those that the filters let in."""
    project = project_for(request.user, project_id, Role.ADMIN)
    view = view_of(project, Scope.from_query(request.GET))
    _ring_if_stale(project, view)
    context = {
        **page_context(person(request), project, "agreement"),
        **_report_context(project, view),
        **_filters(project, view.scope),
        "query": request.GET.urlencode(),
    }
    return render(request, "quality/agreement.html", context)


@require_GET
def agreement_live(request: HttpRequest, project_id: int) -> HttpResponse:
    """Asked every few seconds: how old the figures are, or the newer ones where there are some."""
    project = project_for(request.user, project_id, Role.ADMIN)
    scope = Scope()
    view = view_of(project, scope)
    _ring_if_stale(project, view)
    context = {"project": project, "query": "", **_report_context(project, view)}
    shown = parse_datetime(request.GET.get("shown", "")[:40].replace(" ", "+"))
    is_newer = view.computed_at is not None and shown is not None and view.computed_at > shown
    if not (is_newer or (shown is None and view.computed_at)):
        return render(request, "quality/_updated.html", context)
    answer = render(request, "quality/_report.html", context)
    answer["HX-Retarget"], answer["HX-Reswap"] = "#agreement", "outerHTML"
    return answer


@require_GET
def agreement_table(request: HttpRequest, project_id: int, table: str) -> StreamingHttpResponse:
    """One table as CSV."""
    project = project_for(request.user, project_id, Role.ADMIN)
    return csv_answer(view_of(project, Scope.from_query(request.GET)).report, table)


def _ring_if_stale(project: Project, view: AgreementView) -> None:
    if not view.is_current:
        ring_agreement(project.pk)


def _report_context(project: Project, view: AgreementView) -> dict[str, Any]:  # Any: a context
    data = view.report
    return {
        "view": view,
        "report": data,
        "age": timezone.now() - view.computed_at if view.computed_at else timedelta(0),
        "cards": cards_of(data, target=project.agreement_target) if data["judgments"] else [],
        "funnel": drawings.funnel_plot(data),
        "alpha_over_time": drawings.alpha_plot(data, _guideline_marks(project)),
        "matrix": drawings.matrix_of(data),
    }


def _guideline_marks(project: Project) -> list[tuple[str, str]]:
    rows = project.guidelines.order_by("version").values_list("version", "created_at")
    return [(at.date().isoformat(), f"guideline v{version}") for version, at in rows]


def _filters(project: Project, scope: Scope) -> dict[str, Any]:  # Any: as above
    return {
        "scope": scope,
        "kinds": list(LabelerKind),
        "versions": list(project.guidelines.order_by("version").values_list("version", flat=True)),
        "criteria": ["overall", *project.criteria.values_list("name", flat=True)],
        "periods": PERIODS,
    }
