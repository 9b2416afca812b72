"""Pages of machine judges: the constitution, the judges, what is measured of one, what it said, what it wrote anew."""

from itertools import pairwise
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.errors import DomainError
from annotation.core.forms import refusals_in
from annotation.core.jobs import waiting_text, with_places
from annotation.judges import selectors
from annotation.judges.cards import cards_of
from annotation.judges.forms import ConstitutionForm, HearingForm, JudgeForm, RevisionForm
from annotation.judges.models import Hearing, Judge
from annotation.judges.report import report_of
from annotation.judges.services import appointing, hearing, revising
from annotation.judges.texts import EXAMPLE, principles_from, text_of
from annotation.projects.guidelines import difference
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for

ASKERS = (Role.ADMIN, Role.ENGINEER)
PAGE_SIZE = 50
JUDGES_ON_A_PAGE = 20  # each is measured anew
RUNS_SHOWN = 10
VERSIONS_SHOWN = 50


def _project(request: HttpRequest, project_id: int) -> Project:
    return project_for(person(request), project_id, *ASKERS)


def _context(request: HttpRequest, project: Project) -> dict[str, Any]:  # Any: a template's
    return page_context(person(request), project, "judges")


@require_http_methods(["GET", "POST"])
def constitution(request: HttpRequest, project_id: int) -> HttpResponse:
    """The principles: the newest to edit, all versions with what changed."""
    project = _project(request, project_id)
    versions = list(selectors.constitutions_of(project)[:VERSIONS_SHOWN])
    newest = text_of(versions[0].principles) if versions else EXAMPLE
    form = ConstitutionForm(request.POST or None, initial={"principles": newest})
    if request.method == "POST" and form.is_valid():
        try:
            made = appointing.publish_constitution(
                project=project,
                principles=principles_from(form.cleaned_data["principles"]),
                actor=person(request),
            )
        except DomainError as error:
            form.add_error("principles", str(error))
        else:
            messages.success(request, f"Version {made.version} is published.")
            return redirect("judges-constitution", project_id)
    texts = [text_of(one.principles) for one in versions] + [""]
    changes = [difference(before, text) for text, before in pairwise(texts)]
    shown = list(zip(versions, changes, strict=True))
    context = {**_context(request, project), "form": form, "versions": shown}
    status = 400 if form.is_bound else 200
    return render(request, "judges/constitution.html", context, status=status)


@require_GET
def judges(request: HttpRequest, project_id: int) -> HttpResponse:
    """The judges with their fitness."""
    project = _project(request, project_id)
    page = Paginator(selectors.judges_of(project), JUDGES_ON_A_PAGE).get_page(
        request.GET.get("page")
    )
    rows = [(one, report_of(one)) for one in page]
    has_constitution = selectors.constitutions_of(project).exists()
    context = _context(request, project)
    context |= {"page": page, "rows": rows, "has_constitution": has_constitution}
    return render(request, "judges/list.html", context)


@require_http_methods(["GET", "POST"])
def new_judge(request: HttpRequest, project_id: int) -> HttpResponse:
    """Appoint a judge."""
    project = _project(request, project_id)
    form = JudgeForm(
        request.POST or None,
        models=selectors.judging_models_of(project),
        constitutions=selectors.constitutions_of(project),
    )
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            made = appointing.appoint_judge(
                project=project, actor=person(request), **form.cleaned_data
            )
            return redirect("judges-judge", project_id, made.pk)
    context = {**_context(request, project), "form": form}
    status = 400 if request.method == "POST" else 200
    return render(request, "judges/new.html", context, status=status)


@require_GET
def judge(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """What is measured of a judge, and its runs."""
    project = _project(request, project_id)
    return _judge_page(request, project, selectors.judge_for(project, pk))


def _judge_page(
    request: HttpRequest,
    project: Project,
    row: Judge,
    *,
    hearing_form: HearingForm | None = None,
    revision_form: RevisionForm | None = None,
) -> HttpResponse:
    report = report_of(row)
    context = {
        **_context(request, project),
        **_moving_parts(project, row),
        "report": report,
        "cards": cards_of(report),
        "hearing_form": hearing_form or HearingForm(),
        "revision_form": revision_form or RevisionForm(),
    }
    is_refused = hearing_form or revision_form
    return render(request, "judges/judge.html", context, status=400 if is_refused else 200)


def _moving_parts(project: Project, row: Judge) -> dict[str, Any]:  # Any: a template's context
    runs = list(selectors.judge_runs_of(project).filter(judge=row)[:RUNS_SHOWN])
    revisions = list(selectors.revision_runs_of(project).filter(judge=row)[:RUNS_SHOWN])
    return {
        "judge": row,
        "runs": with_places(runs),
        "revision_runs": with_places(revisions),
        "is_moving": any(not one.is_over for one in (*runs, *revisions)),
        "waiting_for": next(filter(None, map(waiting_text, (*runs[::-1], *revisions[::-1]))), ""),
    }


@require_GET
def judge_progress(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The part of a judge's page that moves; once nothing does the whole page is asked for."""
    project = _project(request, project_id)
    parts = _moving_parts(project, selectors.judge_for(project, pk))
    response = render(request, "judges/_runs.html", {"project": project, **parts})
    if not parts["is_moving"]:
        response["HX-Refresh"] = "true"
    return response


@require_POST
def hear(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Let a judge hear comparisons."""
    project = _project(request, project_id)
    row = selectors.judge_for(project, pk)
    form = HearingForm(request.POST)
    if form.is_valid():
        with refusals_in(form):
            hearing.request_hearing(
                judge=row,
                wanted_comparisons=form.cleaned_data["wanted"],
                max_comparisons=form.cleaned_data["max_comparisons"],
                actor=person(request),
            )
            return redirect("judges-judge", project_id, pk)
    return _judge_page(request, project, row, hearing_form=form)


@require_POST
def revise(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Let a judge's model criticize candidates and write them anew."""
    project = _project(request, project_id)
    row = selectors.judge_for(project, pk)
    form = RevisionForm(request.POST)
    if form.is_valid():
        with refusals_in(form):
            revising.request_revisions(judge=row, actor=person(request), **form.cleaned_data)
            return redirect("judges-judge", project_id, pk)
    return _judge_page(request, project, row, revision_form=form)


@require_GET
def hearings(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """What a judge said, word by word."""
    project = _project(request, project_id)
    row = selectors.judge_for(project, pk)
    outcome = request.GET.get("outcome", "")
    rows = selectors.hearings_of(row, outcome)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = _context(request, project)
    context |= {"judge": row, "page": page, "outcome": outcome, "outcomes": Hearing.Outcome.choices}
    return render(request, "judges/hearings.html", context)


@require_POST
def cancel_run(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Stop a run of hearings."""
    project = _project(request, project_id)
    run = selectors.run_for(project, selectors.judge_runs_of(project), pk)
    hearing.cancel(run=run, actor=person(request))
    messages.success(request, "The run is being stopped. What was heard stays.")
    return redirect("judges-judge", project_id, run.judge_id)


@require_POST
def resume_run(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Go on with a run of hearings."""
    project = _project(request, project_id)
    run = selectors.run_for(project, selectors.judge_runs_of(project), pk)
    hearing.resume(run=run, left=selectors.wanted(run).count(), actor=person(request))
    return redirect("judges-judge", project_id, run.judge_id)


@require_GET
def revisions(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """What came of a run of critique and revision."""
    project = _project(request, project_id)
    run = selectors.run_for(project, selectors.revision_runs_of(project), pk)
    page = Paginator(selectors.revisions_of(run), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        **_context(request, project),
        "run": run,
        "page": page,
        "waiting_for": waiting_text(run),
    }
    return render(request, "judges/revisions.html", context)


@require_POST
def cancel_revision(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Stop a run of revisions."""
    project = _project(request, project_id)
    run = selectors.run_for(project, selectors.revision_runs_of(project), pk)
    hearing.cancel(run=run, actor=person(request))
    messages.success(request, "The run is being stopped. What was written stays.")
    return redirect("judges-judge", project_id, run.judge_id)


@require_POST
def resume_revision(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Go on with a run of revisions."""
    project = _project(request, project_id)
    run = selectors.run_for(project, selectors.revision_runs_of(project), pk)
    hearing.resume(run=run, left=selectors.unrevised(run).count(), actor=person(request))
    return redirect("judges-judge", project_id, run.judge_id)
