"""The page of a project: where its loop stands, and what to do next."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.accounts.authentication import person
from annotation.overview.selectors import counts_of, next_steps
from annotation.projects.selectors import current_guideline, page_context, project_for


@require_GET
def overview(request: HttpRequest, project_id: int) -> HttpResponse:
    """Counts of each step, and the next step for each role held."""
    project = project_for(request.user, project_id)
    context = page_context(person(request), project, "overview")
    counts = counts_of(project)
    context["counts"] = counts
    context["steps"] = next_steps(project, counts, context["roles"])
    context["guideline"] = current_guideline(project)
    return render(request, "overview/project.html", context)
