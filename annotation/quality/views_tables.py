"""The lists of items, gold, rules, the entry exam and disputes as CSV: what all pages of a list show."""

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_GET

from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.quality import disputes, exams, gold, list_tables, rules
from annotation.quality.appealed import appealed
from annotation.quality.items import Asked, every_item
from annotation.quality.models import Dispute
from annotation.quality.people_frame import names_of, scope_on
from annotation.quality.scope import Scope
from annotation.quality.selectors import refuse_unknown
from annotation.quality.services import catch_up
from annotation.quality.tables import csv_download


@require_GET
def items_csv(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """The judgments on all items in the order of the page, also on those beyond its last one."""
    project = project_for(request.user, project_id, Role.ADMIN)
    scope, asked = Scope.of(request), Asked.from_query(request.GET)
    refuse_unknown(project, scope)
    catch_up(project=project)
    found = every_item(project, scope, asked)
    return csv_download(*list_tables.items_table(found), name="items")


@require_GET
def gold_csv(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """All gold with how it was answered."""
    project = project_for(request.user, project_id, Role.ADMIN)
    scope = scope_on(request, project, "gold")
    report = gold.gold_report(project, gold.gold_items(project, scope), scope)
    return csv_download(*list_tables.gold_table(report), name="gold")


@require_GET
def rules_csv(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """The rules that the page shows, each in its newest version."""
    project = project_for(request.user, project_id, Role.ADMIN)
    rows = rules.rules_within(project, scope_on(request, project, "rules"))
    names = names_of({pk for one in rows for pk in one.found})
    return csv_download(*list_tables.rules_table(rows, names), name="rules")


@require_GET
def exam_csv(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """Who has not passed the entry exam."""
    project = project_for(request.user, project_id, Role.ADMIN)
    entrants = exams.entrants_of(project) if project.must_qualify else []
    return csv_download(*list_tables.exam_table(entrants), name="exam")


@require_GET
def disputes_csv(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """The disputes of the state that the page shows."""
    project = project_for(request.user, project_id, Role.ADMIN)
    state = request.GET.get("state", Dispute.State.OPEN)
    scope = scope_on(request, project, "disputes")
    rows = list(disputes.disputes_of(project, state=state, scope=scope))
    table = list_tables.disputes_table(rows, appealed(project, rows))
    return csv_download(*table, name="disputes")
