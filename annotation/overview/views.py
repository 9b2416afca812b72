"""The page of a project: where its loop stands, what to do next; and the pages that set it up."""

from typing import Any

from csp.decorators import csp_replace
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.comparisons.preview import preview_context
from annotation.comparisons.services.overlap import draws_under_way
from annotation.core.errors import DomainError, InvalidInput, NotFound
from annotation.overview import drafts, estimate, starting, steps
from annotation.overview.forms import EstimateForm
from annotation.overview.selectors import overview_of, waiting_for_admins
from annotation.projects.forms import first_error
from annotation.projects.models import Project, Role
from annotation.projects.selectors import current_guideline, page_context, project_for

IN_A_FRAME = {"frame-ancestors": ["'self'"], "form-action": ["'none'"]}


@require_GET
def overview(request: HttpRequest, project_id: int) -> HttpResponse:
    """Counts of each step, and the next step for each role held."""
    project = project_for(request.user, project_id)
    context = page_context(person(request), project, "overview")
    seen = overview_of(project, person(request), context["roles"])
    context["counts"], context["steps"], context["forecast"] = seen
    context["guideline"] = current_guideline(project)
    context["waiting"] = waiting_for_admins(project) if Role.ADMIN in context["roles"] else []
    return render(request, "overview/project.html", context)


@require_GET
def estimate_page(request: HttpRequest, project_id: int) -> HttpResponse:
    """What the settings will cost and buy; htmx gets the part that goes beside a form."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = EstimateForm(request.GET)
    is_part = bool(request.headers.get("HX-Request"))
    context = page_context(person(request), project, "settings")
    if not form.is_valid():
        if not is_part:
            raise InvalidInput(first_error(form))
        return render(request, "overview/setup/estimate.html", {"problem": first_error(form)})
    plan = estimate.plan_of(project).changed(form.choices())
    try:
        context["estimate"] = estimate.estimate(project, plan)
    except InvalidInput as error:
        if not is_part:
            raise
        context["problem"] = str(error)
    template = "estimate.html" if is_part else "estimate_page.html"
    return render(request, f"overview/setup/{template}", {**context, "form": form})


@require_GET
def setup(request: HttpRequest, project_id: int) -> HttpResponse:
    """The first step of the set-up."""
    project = project_for(request.user, project_id, Role.ADMIN)
    return redirect("overview-setup-step", project.pk, steps.KEYS[0])


@never_cache
@require_http_methods(["GET", "POST"])
def setup_step(request: HttpRequest, project_id: int, step: str) -> HttpResponse:
    """One step of the set-up; every button saves, and then goes where it says."""
    project = project_for(request.user, project_id, Role.ADMIN)
    here = steps.step_named(step)
    if here is None:
        raise NotFound(f"The set-up has no step {step!r}; it begins at prompts.")
    turn = here.take(request, project)
    if request.method == "POST":
        if request.headers.get("HX-Request"):
            return _side(request, project, turn)
        if turn.is_saved and not (turn.stays and "sent" in turn.facts):
            return redirect("overview-setup-step", project.pk, _target(request, here, turn))
    is_refused = request.method == "POST" and not turn.is_saved and not turn.stays
    context = page_context(person(request), project, "settings")
    context.update(
        turn.facts,
        turn=turn,
        form=turn.form,
        step=here,
        steps=steps.STEPS,
        before=steps.step_before(here.key),
        after=steps.step_after(here.key),
        has_preview=here.key in drafts.PREVIEWED,
        is_followed=here.key in drafts.TYPED,
        **_drawn(project),
    )
    return render(request, turn.template, context, status=400 if is_refused else 200)


def _target(request: HttpRequest, here: steps.Step, turn: steps.Turn) -> str:
    if turn.stays:
        return here.key
    wanted = request.POST.get("go", "")
    return wanted if wanted in steps.KEYS else steps.step_after(here.key)


@csp_replace(IN_A_FRAME)  # type: ignore[arg-type] # its stubs know no arguments beside the request
@xframe_options_sameorigin
@never_cache
@require_http_methods(["GET", "POST"])
def setup_preview(request: HttpRequest, project_id: int, step: str) -> HttpResponse:
    """What labelers will see: as it is saved, or with what is typed in a step. Nothing is leased or written."""
    project = project_for(request.user, project_id, Role.ADMIN)
    if step not in drafts.PREVIEWED:
        raise NotFound(f"The step {step!r} has no preview.")
    if request.method == "POST":
        draft = drafts.typed(project, step, request.POST)
    else:
        draft = drafts.saved(project, step)
    return render(request, "comparisons/preview.html", preview_context(draft))


@never_cache
@require_GET
def setup_side(request: HttpRequest, project_id: int) -> HttpResponse:
    """How far the draw of the overlap is and what it changes, asked again until it is over."""
    project = project_for(request.user, project_id, Role.ADMIN)
    return render(request, "overview/setup/drawn.html", _drawn(project))


@never_cache
@require_GET
def setup_imports(request: HttpRequest, project_id: int) -> HttpResponse:
    """How far the imports are, asked again until they are over; then the estimate is told to follow.

    The step of the prompts says then how many are here.
    """
    project = project_for(request.user, project_id, Role.ADMIN)
    step, facts = request.GET.get("step", ""), steps.imports_so_far(project)
    is_over = not facts["is_importing"]
    if is_over and step == "prompts":
        facts["prompts"] = project.prompts.count()
    context = {"project": project, "step": {"key": step}, **facts}
    answer = render(request, "overview/setup/imports.html", context)
    if is_over:
        answer["HX-Trigger"] = "imported"
    return answer


def _side(request: HttpRequest, project: Project, turn: steps.Turn) -> HttpResponse:
    """What changes beside a form while it is filled in: whether it is saved, and the estimate."""
    fresh = project_for(request.user, project.pk, Role.ADMIN)
    saved_at = timezone.now() if turn.is_saved else None
    context = {**_drawn(fresh), "turn": turn, "saved_at": saved_at, "is_open": True}
    return render(request, "overview/setup/side.html", context)


def _drawn(project: Project) -> dict[str, Any]:  # Any: a template's context
    """The draw of the overlap under way, and the estimate, which follows it."""
    return {
        "project": project,
        "estimate": estimate.estimate(project),
        "draw": draws_under_way(project).first(),
    }


@require_POST
def setup_start(request: HttpRequest, project_id: int) -> HttpResponse:
    """Begin: pair what waits, ask the planned policy."""
    project = project_for(request.user, project_id, Role.ADMIN)
    is_labeling = bool(request.POST.get("is_labeling"))
    try:
        told = starting.start(project=project, actor=person(request), is_labeling=is_labeling)
    except DomainError as error:
        messages.error(request, str(error))
        return redirect("overview-setup-step", project.pk, "start")
    messages.success(request, told)
    return redirect("overview-project", project.pk)
