"""Pages of what models are worth."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.accounts.authentication import person
from annotation.evaluations.cards.markdown import as_markdown
from annotation.evaluations.cards.whole import sections_of
from annotation.evaluations.selectors import card_in
from annotation.projects.models import Role
from annotation.projects.selectors import page_context, project_for
from annotation.registry.selectors import model_for


@require_GET
def model_card(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The card of a model, written from facts."""
    project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
    version = model_for(project, pk)
    sections = sections_of(version, card_in(version))
    context = page_context(person(request), project, "models")
    context |= {"version": version, "sections": sections}
    is_part = bool(request.headers.get("HX-Request"))
    template = "evaluations/_card.html" if is_part else "evaluations/card.html"
    return render(request, template, context)


@require_GET
def model_card_markdown(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The same as a Markdown file."""
    project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
    version = model_for(project, pk)
    text = as_markdown(str(version), sections_of(version, card_in(version)))
    answer = HttpResponse(text, content_type="text/markdown; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="model-{version.pk}-card.md"'
    return answer
