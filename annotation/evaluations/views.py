"""Pages of what models are worth."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.forms import refusals_in
from annotation.evaluations import services
from annotation.evaluations.cards.markdown import as_markdown
from annotation.evaluations.cards.whole import sections_of
from annotation.evaluations.disagreements import batch_asked
from annotation.evaluations.drawings import goodhart_plot, votes_as_they_came
from annotation.evaluations.evidence import (
    diversity,
    evidence_by_key,
    evidence_of,
    goodhart,
    scored,
)
from annotation.evaluations.forms import EvaluationForm
from annotation.evaluations.models import Evaluation
from annotation.evaluations.selectors import (
    answers_of,
    card_in,
    card_of,
    equal_in,
    evaluation_in,
    evaluations_of,
    prompts_cut,
    why_it_waits,
)
from annotation.generation.models import GenerationRun
from annotation.projects.models import Role
from annotation.projects.selectors import page_context, project_for
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import model_for

SHOWN = 50  # evaluations on the list page


@require_GET
def model_card(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The card of a model, written from facts."""
    project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
    version = model_for(project, pk)
    card = card_in(version)
    context = page_context(person(request), project, "models") | {
        "version": version,
        "sections": sections_of(version, card),
        "asked": batch_asked(card),
    }
    is_part = bool(request.headers.get("HX-Request"))
    template = "evaluations/_card.html" if is_part else "evaluations/card.html"
    return render(request, template, context)


@require_POST
def model_card_ask(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Open a labeling batch of where the model disagrees with people."""
    project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
    card = card_in(model_for(project, pk))
    batch = services.ask_where_it_disagrees(card=card, actor=person(request))
    asked = batch.comparisons.count()
    messages.success(
        request, f"{asked} comparison{'s' * (asked != 1)} wait for one more judgment each."
    )
    return redirect("evaluations-card", project.pk, pk)


@require_GET
def model_card_markdown(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The same as a Markdown file."""
    project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
    version = model_for(project, pk)
    text = as_markdown(str(version), sections_of(version, card_in(version)))
    answer = HttpResponse(text, content_type="text/markdown; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="model-{version.pk}-card.md"'
    return answer


@require_GET
def evaluation_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """All evaluations, newest first."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    rows = list(evaluations_of(project)[:SHOWN])
    found = evidence_by_key(rows)
    context = page_context(person(request), project, "evaluations")
    context["evaluations"] = [(row, found[row.pk].win_rate) for row in rows]
    return render(request, "evaluations/list.html", context)


@require_http_methods(["GET", "POST"])
def evaluation_new(request: HttpRequest, project_id: int) -> HttpResponse:
    """Choose two policies; one button starts it."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    form = EvaluationForm(request.POST or None, project=project)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            row = services.start_evaluation(
                project=project, actor=person(request), **form.cleaned_data
            )
            return redirect("evaluations-detail", project.pk, row.pk)
    context = page_context(person(request), project, "evaluations") | {"form": form}
    status = 422 if form.errors else 200
    return render(request, "evaluations/new.html", context, status=status)


@require_GET
def evaluation_detail(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """One evaluation; a fragment for what is live of it."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    row = evaluation_in(project, pk)
    people, curve = evidence_of(row), goodhart(row)
    answers = answers_of(row).values()
    facts = {
        "evaluation": row,
        "waiting_for": why_it_waits(row),
        "people": people,
        "drawn": votes_as_they_came(people.path),
        "reward": scored(row),
        "goodhart": curve,
        "goodhart_drawn": goodhart_plot(curve) if curve else "",
        "taxes": _taxes(row),
        "left_out": row.prompts - len(answers),
        "equal": equal_in(answers),
        "cuts": _cuts(row),
        "diversities": [
            (version, diversity([pair[side].text for pair in answers]))
            for side, version in enumerate((row.policy, row.baseline))
        ],
    }
    context = page_context(person(request), project, "evaluations") | facts
    is_part = bool(request.headers.get("HX-Request"))
    return render(request, f"evaluations/{'_live' if is_part else 'detail'}.html", context)


def _cuts(row: Evaluation) -> list[tuple[ModelVersion, GenerationRun | None, int]]:
    """Each policy that could not read all prompts whole, with the run that lists them and their number."""
    cut = prompts_cut(row)
    sides = (
        (row.policy, row.generation, cut.policy),
        (row.baseline, row.baseline_generation, cut.baseline),
    )
    return [one for one in sides if one[2]]


def _taxes(row: Evaluation) -> list[tuple[ModelVersion, float | None, float | None]]:
    """Held-out perplexity of each policy and of the one it was trained from, where its run measured it."""
    found = []
    for version in (row.policy, row.baseline):
        card = card_of(version)
        metrics = card.facts.get("metrics", {}) if card else {}
        found.append((version, metrics.get("perplexity_before"), metrics.get("perplexity_after")))
    return found


@require_POST
def evaluation_stop(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """End it now."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    services.stop_evaluation(row=evaluation_in(project, pk), actor=person(request))
    messages.success(request, "The evaluation is stopped; what was said so far is its result.")
    return redirect("evaluations-detail", project.pk, pk)
