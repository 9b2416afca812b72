"""Pages of rounds: the list, a new one by one act, one of them live."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.errors import InvalidInput
from annotation.core.forms import refusals_in
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from annotation.rounds import selectors, services
from annotation.rounds.estimates import estimate
from annotation.rounds.forms import RoundForm, plan_facts
from annotation.rounds.models import Round
from annotation.rounds.plans import Plan
from annotation.runs.estimates import price_text
from annotation.runs.reading import basis_text
from annotation.runs.selectors import usual_preset
from training.spec.durations import duration_text

SHOWN = 100  # rounds on the list page
ACTS = {
    "pause": (services.pause_round, "is paused; the part under way ends, then nothing follows."),
    "resume": (services.resume_round, "goes on."),
    "cancel": (services.cancel_round, "is cancelled; what it made stays."),
    "labels": (services.take_labels, "goes on with {labels} of {wanted} labels."),
    "votes": (services.take_votes, "ends with the blind votes that are there."),
    "promote": (services.promote_result, "is done, and its policy serves: the next starts there."),
}


def project_of(request: HttpRequest, project_id: int) -> Project:
    return project_for(request.user, project_id, Role.ENGINEER)


@require_GET
def round_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """All rounds, newest first."""
    project = project_of(request, project_id)
    context = page_context(person(request), project, "rounds") | {
        "rounds": selectors.rounds_of(project)[:SHOWN],
        "present": selectors.under_way(project),
    }
    return render(request, "rounds/list.html", context)


@require_http_methods(["GET", "POST"])
def round_new(request: HttpRequest, project_id: int) -> HttpResponse:
    """The settings with their estimate, and the one button."""
    project = project_of(request, project_id)
    form = RoundForm(request.POST or None, project=project, initial=begin_with(project))
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            row = services.start_round(
                project=project,
                plan=form.plan(),
                policy=form.cleaned_data["policy"],
                sampler=form.cleaned_data["sampler"],
                actor=person(request),
            )
            return redirect("rounds-detail", project.pk, row.number)
    context = page_context(person(request), project, "rounds") | {
        "form": form,
        "present": selectors.under_way(project),
        **estimate_facts(project, form),
    }
    return render(request, "rounds/new.html", context, status=422 if form.errors else 200)


@require_POST
def round_estimate(request: HttpRequest, project_id: int) -> HttpResponse:
    """The estimate of what is in the form, a fragment."""
    project = project_of(request, project_id)
    form = RoundForm(request.POST, project=project)
    form.is_valid()
    return render(request, "rounds/_estimate.html", estimate_facts(project, form))


def begin_with(project: Project) -> dict[str, Any]:  # Any: JSON
    """The plan of the last round; before the first, the defaults and the project's sampling plan."""
    last = selectors.rounds_of(project).first()
    if last is not None:
        return Plan.from_json(last.plan).as_json()
    sampling = getattr(project, "sampling_plan", None)
    chosen = (
        {}
        if sampling is None
        else {name: getattr(sampling, name) for name in ("per_prompt", "temperature", "max_tokens")}
    )
    return Plan().as_json() | {"preset": usual_preset(project)} | chosen


def estimate_facts(project: Project, form: RoundForm) -> dict[str, Any]:
    """The estimate of a form; none while a value cannot be read."""
    try:
        plan = form.plan() if form.is_bound and form.is_valid() else None
    except InvalidInput as error:
        return {"estimate": None, "why_no_estimate": str(error)}
    if form.is_bound and plan is None:
        return {"estimate": None, "why_no_estimate": "Some values need a change first."}
    policy = form.cleaned_data["policy"] if plan else form.fields["policy"].initial
    plan = plan or Plan.from_json(begin_with(project))
    found = estimate(project, plan, policy)
    times = {
        name: None if seconds is None else duration_text(seconds)
        for name, seconds in (
            ("generation", found.generation_seconds),
            ("reward", found.reward_seconds),
            ("policy", found.policy_seconds),
        )
    }
    return {
        "estimate": found,
        "asked": plan,
        "times": times,
        "paces": {
            name: basis_text(basis)
            for name, basis in (("reward", found.reward), ("policy", found.policy))
            if basis
        },
        "people": duration_text(found.label_hours * 3600),
        "cost": price_text(found.machine_seconds),
    }


@require_GET
def round_detail(request: HttpRequest, project_id: int, number: int) -> HttpResponse:
    """One round; a fragment for what is live of it."""
    project = project_of(request, project_id)
    row = selectors.round_in(project, number)
    plan = Plan.from_json(row.plan)
    context = page_context(person(request), project, "rounds") | {
        "round": row,
        "labels": selectors.labels_part(row),
        "parts": [
            (part, reverse(part.route, args=[project.pk, part.key]) if part.key else "")
            for part in selectors.parts_of(row)
        ],
        "waiting_for": selectors.waiting_for(row),
        "plan": plan,
        "plan_facts": plan_facts(plan),
        "made": row.policy_run.model_version if row.policy_run else None,
    }
    template = "rounds/_live.html" if request.headers.get("HX-Request") else "rounds/detail.html"
    return render(request, template, context)


@require_POST
def round_act(request: HttpRequest, project_id: int, number: int) -> HttpResponse:
    """Pause, resume, cancel, go on with the labels or votes there are, or promote."""
    project = project_of(request, project_id)
    row: Round = selectors.round_in(project, number)
    name = request.POST.get("act", "")
    if name not in ACTS:
        raise InvalidInput.at("act", f"{name!r} is not one of {', '.join(ACTS)}.")
    act, said = ACTS[name]
    act(row=row, actor=person(request))
    labels = selectors.labels_part(row)
    messages.success(request, f"{row} {said.format(labels=labels.done, wanted=labels.total)}")
    return redirect("rounds-detail", project.pk, number)
