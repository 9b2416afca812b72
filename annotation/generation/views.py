"""Pages of generation: runs, a prompt's candidates, the playground."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.forms import refusals_in
from annotation.core.jobs import JobModel, waiting_text, with_places
from annotation.core.text import is_key, with_lines
from annotation.generation import selectors, services
from annotation.generation.forms import PlaygroundForm, RunForm
from annotation.generation.models import GenerationRun, PlaygroundRun
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from annotation.prompts.models import Prompt
from annotation.registry.selectors import models_of

ASKERS = (Role.ADMIN, Role.ENGINEER)
PAGE_SIZE = 50


@require_GET
def runs(request: HttpRequest, project_id: int) -> HttpResponse:
    """The generation runs."""
    project = project_for(person(request), project_id, *ASKERS)
    page = Paginator(selectors.runs_of(project), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {**page_context(person(request), project, "generation"), "page": page}
    context["runs"] = with_places(page)
    return render(request, "generation/runs.html", context)


@require_http_methods(["GET", "POST"])
def new_run(request: HttpRequest, project_id: int) -> HttpResponse:
    """Ask a policy for candidates."""
    project = project_for(person(request), project_id, *ASKERS)
    form = RunForm(request.POST or None, policies=selectors.policies_of(project))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            made = services.request_candidates(
                project=project, actor=person(request), **form.cleaned_data
            )
            return redirect("generation-run", project_id, made.pk)
    context = {**page_context(person(request), project, "generation"), "form": form}
    context |= selectors.estimate(project)
    status = 400 if request.method == "POST" else 200
    return render(request, "generation/new_run.html", context, status=status)


@require_GET
def run(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """One run: how far, how fast, what failed."""
    project = project_for(person(request), project_id, *ASKERS)
    context = page_context(person(request), project, "generation")
    context |= _run_facts(selectors.run_for(project, pk))
    return render(request, "generation/run.html", context)


@require_GET
def run_progress(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The part of the run's page that moves."""
    project = project_for(person(request), project_id, *ASKERS)
    row = selectors.run_for(project, pk)
    context = {"project": project, **_run_facts(row)}
    return _moving(render(request, "generation/run_progress.html", context), row)


def _run_facts(row: GenerationRun) -> dict[str, Any]:  # Any: a template's context
    return {
        "run": row,
        "begun_with": selectors.begun_with(row),
        "waiting_for": waiting_text(row),
        "facts": selectors.facts_of(row),
        "failures": selectors.failures_of(row),
        "cuts": selectors.cuts_of(row),
    }


@require_POST
def cancel_run(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Stop a run."""
    row = selectors.run_for(project_for(person(request), project_id, *ASKERS), pk)
    services.cancel(run=row, actor=person(request))
    messages.success(request, "The run is being stopped. What it has stored stays.")
    return redirect("generation-run", project_id, pk)


@require_POST
def resume_run(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Go on with what lacks."""
    row = selectors.run_for(project_for(person(request), project_id, *ASKERS), pk)
    services.resume(run=row, actor=person(request))
    messages.success(request, "The run goes on with the prompts that lack candidates.")
    return redirect("generation-run", project_id, pk)


@require_GET
def candidates(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """A prompt and its candidates, with where each came from."""
    project = project_for(person(request), project_id, *ASKERS)
    prompt = selectors.prompt_for(project, pk)
    rows = selectors.candidates_of(project, prompt)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = page_context(person(request), project, "prompts")
    context |= {"prompt": prompt, "page": page}
    return render(request, "generation/candidates.html", context)


@require_http_methods(["GET", "POST"])
def playground(request: HttpRequest, project_id: int) -> HttpResponse:
    """Ask a few policies the same; what was asked before lies below."""
    project = project_for(person(request), project_id, Role.ENGINEER)
    picked = _picked_prompt(request, project)
    form = PlaygroundForm(request.POST or None, models=models_of(project))
    if request.method == "POST" and form.is_valid():
        turns = picked.turns if picked else _own(form.cleaned_data["prompt"])
        with refusals_in(form):
            made = _play(request, project, turns, form.cleaned_data)
            return redirect("generation-playground-run", project_id, made.pk)
    recent = selectors.playground_runs_of(project)[:20]
    context = page_context(person(request), project, "playground")
    context |= {"form": form, "picked": picked, "recent": recent}
    context["pace"] = selectors.playground_pace(project)
    status = 400 if request.method == "POST" else 200
    return render(request, "generation/playground.html", context, status=status)


def _picked_prompt(request: HttpRequest, project: Project) -> Prompt | None:
    """The prompt of the project that the page was opened for; None to type one's own."""
    pk = request.POST.get("picked") or request.GET.get("prompt") or ""
    return selectors.prompt_for(project, int(pk)) if is_key(pk) else None


def _own(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": with_lines(text).strip()}]


def _play(
    request: HttpRequest, project: Project, turns: Sequence[dict[str, str]], sent: dict[str, Any]
) -> PlaygroundRun:  # Any: cleaned form data
    return services.request_playground(
        project=project,
        turns=turns,
        policies=sorted(sent["policies"], key=lambda one: one.pk),
        reward_model=sent["reward_model"],
        temperature=sent["temperature"],
        top_p=sent["top_p"],
        max_tokens=sent["max_tokens"],
        seed=sent["seed"],
        actor=person(request),
    )


@require_GET
def playground_run(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The answers side by side."""
    project = project_for(person(request), project_id, Role.ENGINEER)
    row = selectors.playground_run_for(project, pk)
    context = page_context(person(request), project, "playground")
    context |= _answers(row)
    return render(request, "generation/playground_run.html", context)


def _answers(row: PlaygroundRun) -> dict[str, Any]:
    """What the moving part of the page shows."""
    return {
        "run": row,
        "answers": selectors.playground_answers(row),
        "waiting_for": waiting_text(row),
    }


@require_POST
def cancel_playground(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Stop a playground run."""
    project = project_for(person(request), project_id, Role.ENGINEER)
    run = selectors.playground_run_for(project, pk)
    services.cancel_playground(run=run, actor=person(request))
    messages.success(request, "The run is being stopped. What was answered stays.")
    return redirect("generation-playground-run", project_id, pk)


@require_GET
def playground_progress(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The part of the playground's page that moves."""
    project = project_for(person(request), project_id, Role.ENGINEER)
    row = selectors.playground_run_for(project, pk)
    context = {"project": project, **_answers(row)}
    return _moving(render(request, "generation/playground_progress.html", context), row)


def _moving(response: HttpResponse, row: JobModel) -> HttpResponse:
    """A part that is asked for every two seconds; once the job is over the whole page is."""
    if row.is_over:
        response["HX-Refresh"] = "true"
    return response
