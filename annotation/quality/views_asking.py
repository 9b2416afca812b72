"""What more to ask, where judgments are read: one more label, which can be taken back, and new comparisons."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from annotation.accounts.authentication import person
from annotation.comparisons.selectors import comparison_of
from annotation.comparisons.services.again import ask_one_more, undo_one_more
from annotation.core.errors import Conflict, InvalidInput
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.quality import next_comparisons


@require_POST
def ask_more(request: HttpRequest, project_id: int, comparison_id: int) -> HttpResponse:
    """Ask for one more label on a comparison."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = comparison_of(project=project, pk=comparison_id)
    try:
        ask_one_more(comparison=row, actor=person(request))
    except Conflict as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"One more label is asked for on comparison {row.pk}.")
    return _back(request, project, row.pk)


@require_POST
def ask_next(request: HttpRequest, project_id: int) -> HttpResponse:
    """Make new comparisons between policies, drawn by what one verdict tells."""
    project = project_for(request.user, project_id, Role.ADMIN)
    asked = request.POST.get("comparisons", "")
    count = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 0
    try:
        batch = next_comparisons.ask_next(project=project, count=count, actor=person(request))
    except (Conflict, InvalidInput) as error:
        messages.error(request, str(error))
        return redirect("quality-items", project.pk)
    made = batch.comparisons.count()
    messages.success(request, f"Comparisons drawn: {made:,}. They are in the batch {batch.name}.")
    return redirect("comparisons-batch", project.pk, batch.pk)


@require_POST
def ask_undo(request: HttpRequest, project_id: int, comparison_id: int) -> HttpResponse:
    """Take that back while nobody has been served it."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = comparison_of(project=project, pk=comparison_id)
    try:
        undo_one_more(comparison=row, actor=person(request))
    except Conflict as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"No further label is asked for on comparison {row.pk}.")
    return _back(request, project, row.pk)


def _back(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """To the items, with what was asked there."""
    query = QueryDict(request.POST.get("query", "")).urlencode()
    return redirect(f"{reverse('quality-items', args=[project.pk])}?{query}#comparison-{pk}")
