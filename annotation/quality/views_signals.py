"""The page of accept and reject signals."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.quality.cards import signal_cards_of
from annotation.quality.frame import filters_context
from annotation.quality.people_frame import people_context
from annotation.quality.scope import SIGNAL_FILTERS, Scope
from annotation.quality.selectors import named_policies
from annotation.quality.services import catch_up
from annotation.quality.signals import signals_report, signals_table
from annotation.quality.tables import csv_download


@require_GET
def signals(request: HttpRequest, project_id: int) -> HttpResponse:
    """How often responses are accepted, by whom they were written, and whether verdicts say the same."""
    project = project_for(request.user, project_id, Role.ADMIN)
    catch_up(project=project)
    scope = _scope(request)
    report = signals_report(project, scope)
    context = {
        **people_context(request, project, "signals"),
        **filters_context(project, scope),
        "filters": SIGNAL_FILTERS,
        "query": request.GET.urlencode(),
        "report": report,
        "cards": signal_cards_of(report),
        "sources": named_policies(project, report["sources"]),
    }
    return render(request, "quality/signals.html", context)


@require_GET
def signals_csv(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """The same as CSV."""
    project = project_for(request.user, project_id, Role.ADMIN)
    catch_up(project=project)
    return csv_download(*signals_table(signals_report(project, _scope(request))), name="signals")


def _scope(request: HttpRequest) -> Scope:
    return Scope.of(request).having_only(SIGNAL_FILTERS, what="Signals")
