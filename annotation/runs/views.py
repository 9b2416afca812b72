"""The engineer's pages: the runs of a project, a new one, one of them live."""

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.models import User
from annotation.core.csv_tables import csv_download
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import why_it_waits, with_places
from annotation.core.text import is_key
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from annotation.registry import results
from annotation.runs import comparing, estimates, headlines, reading, selectors, services
from annotation.runs.forms import NewRunForm
from annotation.runs.models import TrainingRun
from annotation.runs.records import fates_of, held_out_fates_of
from annotation.runs.specs import preset_settings, settings_of
from annotation.runs.verdicts import verdicts_in
from training.spec.durations import duration_text
from training.spec.events import EventKind
from training.spec.runs import SPECS, wrong_fields

SHOWN = 100  # runs on the list page
PRESET_TITLES = {"standard": "Settings for a real project", "demo": "Settings for two slow cores"}


def project_of(request: HttpRequest, project_id: int) -> tuple[Project, User]:
    """The project for an engineer of it, and who asks."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    assert isinstance(request.user, User)
    return project, request.user


@login_required
@require_GET
def run_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """All runs, newest first, or those of a kind, also by result; a fragment for the live table."""
    project, user = project_of(request, project_id)
    kind, by_result = request.GET.get("kind", ""), request.GET.get("sort") == "result"
    runs = with_places(chosen(project, kind, by_result=by_result)[:SHOWN])
    told = (why_it_waits(run, place or 1) for run, place in reversed(runs))
    context = page_context(user, project, "runs") | {
        "runs": [(run, place, result_of(run)) for run, place in runs],
        "kind": kind,
        "by_result": bool(kind and by_result),
        "kinds": kinds_of(project),
        "shown": SHOWN,
        "notice": next(filter(None, told), ""),
        "is_live": any(not run.is_over for run, _ in runs),
    }
    template = "runs/_table.html" if request.headers.get("HX-Request") else "runs/list.html"
    return render(request, template, context)


def chosen(project: Project, kind: str, *, by_result: bool) -> QuerySet[TrainingRun]:
    """The runs that the list shows, in its order; what a kind came to is compared within the kind alone."""
    runs = selectors.runs_of(project)
    if not kind:
        return runs
    if by_result:
        return headlines.by_result(runs, kind)
    return runs.filter(kind=headlines.checked_kind(kind))


def result_of(run: TrainingRun) -> reading.Told:
    return reading.headline_texts(headlines.headline_of(run))


def kinds_of(project: Project) -> dict[str, str]:
    """The kinds of run that the project has, with their titles."""
    there = set(selectors.runs_of(project).order_by().values_list("kind", flat=True).distinct())
    return {key: spec.title for key, spec in SPECS.items() if key in there}


@login_required
@require_http_methods(["GET", "POST"])
def run_new(request: HttpRequest, project_id: int) -> HttpResponse:
    """The form of a new run, with the settings of a preset or (`?from=`) of a run; an error stands at its field."""
    project, user = project_of(request, project_id)
    source = source_in(project, request.GET.get("from", ""))
    kind = source.kind if source else request.GET.get("kind", "reward_model")
    if kind not in SPECS:
        raise InvalidInput(f"{kind!r} is no kind of run; choose one of {', '.join(SPECS)}.")
    preset = "" if source else request.GET.get("preset") or selectors.usual_preset(project)
    given = settings_of(source) if source else preset_settings(preset, kind)
    initial = {"name": SPECS[kind].title, **given}
    initial |= kept_values(request.GET, project=project, kind=kind, initial=initial)
    form = NewRunForm(request.POST or None, project=project, kind=kind, initial=initial)
    if request.method == "POST" and (asked := request.POST.get("begin_with")):
        form.initial = {"name": SPECS[kind].title, **given}  # what was kept before is kept again
        return redirect(f"{request.path}?{QueryDict(asked).urlencode()}&{changed_values(form)}")
    if request.method == "POST" and form.is_valid() and (run := queued(form, project, user)):
        return redirect("runs-detail", project.pk, run.pk)
    context = page_context(user, project, "runs") | {
        "form": form,
        "kind": kind,
        "source": source,
        "preset": preset,
        "presets": PRESET_TITLES,
        "kinds": {key: spec.title for key, spec in SPECS.items()},
        "about": (SPECS[kind].__doc__ or "").strip(),
        **estimate_facts(form),
    }
    return render(request, "runs/new.html", context, status=422 if form.errors else 200)


def changed_values(form: NewRunForm) -> str:
    """What a person changed in the form, as the address of a form with other settings carries it."""
    return urlencode({name: form.data.get(name, "") for name in form.changed_data})


def kept_values(
    given: QueryDict,
    *,
    project: Project,
    kind: str,
    initial: dict[str, Any],  # Any: settings of many types
) -> dict[str, Any]:  # Any: as above
    """The values in an address that the form of this kind has, and that may stand there."""
    form = NewRunForm(project=project, kind=kind, initial=initial)
    kept = {}
    for name in given.keys() & form.fields.keys():
        with suppress(ValidationError):
            kept[name] = form.fields[name].clean(given[name])
    row = {"kind": kind, **{name: kept[name] for name in form.spec_names if name in kept}}
    return {name: value for name, value in kept.items() if name not in wrong_fields(row)}


def source_in(project: Project, asked: str) -> TrainingRun | None:
    """The run whose settings the form begins with; None where the address names none."""
    return selectors.run_in(project, int(asked)) if is_key(asked) else None


@login_required
@require_POST
def run_estimate(request: HttpRequest, project_id: int) -> HttpResponse:
    """What the run in the form would cost, a fragment; nothing is queued."""
    project, _ = project_of(request, project_id)
    kind = request.GET.get("kind", "")
    if kind not in SPECS:
        raise InvalidInput(f"{kind!r} is no kind of run; choose one of {', '.join(SPECS)}.")
    form = NewRunForm(request.POST, project=project, kind=kind)
    return render(request, "runs/_estimate.html", estimate_facts(form))


def estimate_facts(form: NewRunForm) -> dict[str, Any]:
    """The estimate of a form that can be read, in words; before it is sent, that of its first values."""
    if form.is_bound and form.errors.keys() - {"name"}:
        return {"estimate": None, "wrong": [one for one in form.wrong if one.name != "name"]}
    values = (
        form.cleaned_data if form.is_bound else {name: form[name].initial for name in form.fields}
    )
    if values.get("snapshot") is None or values.get("base_model") is None:
        return {"estimate": None}
    found = estimates.estimate(
        kind=form.kind,
        spec={name: values[name] for name in form.spec_names},
        snapshot=values["snapshot"],
        base_model=values["base_model"],
        reward_model=values.get("reward_model"),
        held_out_reward_model=values.get("held_out_reward_model"),
        sampler=values.get("sampler"),
    )
    return {
        "estimate": found,
        "cost": estimates.price_text(found.seconds),
        "price": settings.CONCORD_PRICE_AN_HOUR,
        "memory": estimates.size_text(found.memory_bytes),
        "training_memory": estimates.size_text(found.memory and found.memory.training),
        "time": "" if found.seconds is None else duration_text(found.seconds),
        "pace": reading.basis_text(found.basis) if found.basis else "",
    }


@login_required
@require_GET
def run_compare(request: HttpRequest, project_id: int) -> HttpResponse:
    """Two to five runs over each other; the list again, with the reason, where others were chosen."""
    project, user = project_of(request, project_id)
    try:
        runs = comparing.runs_in(project, request.GET.getlist("run"))
    except InvalidInput as error:
        messages.error(request, str(error))
        return redirect("runs-list", project_id)
    overlays = comparing.overlays(runs)
    context = page_context(user, project, "runs") | {
        "runs": runs,
        "differences": comparing.differences(runs),
        "results": comparing.results(runs),
        "overlays": [one for one in overlays if not one.is_zero],
        "zeros": [one.metric.title for one in overlays if one.is_zero],
    }
    return render(request, "runs/compare.html", context)


def queued(form: NewRunForm, project: Project, user: User) -> TrainingRun | None:
    """The queued run; None with the error at its field."""
    asked = form.cleaned_data
    try:
        return services.queue_run(
            project=project,
            spec=form.spec(),
            snapshot=asked["snapshot"],
            base_model=asked["base_model"],
            reward_model=asked.get("reward_model"),
            held_out_reward_model=asked.get("held_out_reward_model"),
            sampler=asked.get("sampler"),
            name=asked["name"],
            actor=user,
        )
    except InvalidInput as error:
        form.refuse(error)
        return None


@login_required
@require_GET
def run_detail(request: HttpRequest, project_id: int, run_id: int) -> HttpResponse:
    """One run; a fragment for what is live of it."""
    project, user = project_of(request, project_id)
    run = selectors.run_in(project, run_id)
    step = request.GET.get("step", "")
    context = page_context(user, project, "runs") | run_facts(run)
    context |= sample_facts(run, int(step) if is_key(step) else None)
    is_fragment = bool(request.headers.get("HX-Request"))
    template = "runs/_live.html" if is_fragment else "runs/detail.html"
    return render(request, template, context | {"is_fragment": is_fragment})


def run_facts(run: TrainingRun) -> dict[str, Any]:
    """What the page of a run shows besides its samples."""
    [(_, place)] = with_places([run])
    return {
        "run": run,
        "place": place,
        "metrics": reading.metric_rows(selectors.curves_of(run), run.kind),
        "took": reading.took_text(run),
        "pace": reading.pace_text(selectors.pace_of(run), run.progress_unit),
        "changes": results.change_rows(run.result.get("metrics", {})),
        "results": reading.results_of(run),
        "fates": fates_of(run),
        "held_out": held_out_fates_of(run),
        "peak_memory": reading.memory_text(run.result.get("peak_memory_mb")),
        "spec": run.spec.items(),
        "verdicts": verdicts_in(run.snapshot) if run.kind == "kto" else None,
        "notice": why_it_waits(run, place or 1),
        "evaluations": selectors.events_of(run, EventKind.EVALUATION)[:10],
        "guards": selectors.alarms_of(run),
        "checkpoint": selectors.events_of(run, EventKind.CHECKPOINT).first(),
        "said": selectors.events_of(run, EventKind.LOG, EventKind.STARTED, EventKind.FAILED)[:30],
        "servers": selectors.sampling_servers(run.project) if run.sampler and run.is_over else None,
    }


@login_required
@require_GET
def run_curves(request: HttpRequest, project_id: int, run_id: int) -> StreamingHttpResponse:
    """What the run told at each step, as CSV."""
    project, _ = project_of(request, project_id)
    head, rows = selectors.told_steps(selectors.run_in(project, run_id))
    return csv_download(head, rows, filename=f"run-{run_id}-curves.csv")


@login_required
@require_GET
def run_samples(request: HttpRequest, project_id: int, run_id: int) -> HttpResponse:
    """The samples of one step, a fragment."""
    project, _ = project_of(request, project_id)
    run = selectors.run_in(project, run_id)
    step = request.GET.get("step", "")
    number = int(step) if is_key(step) else None
    return render(request, "runs/_samples.html", {"run": run} | sample_facts(run, number))


def sample_facts(run: TrainingRun, step: int | None) -> dict[str, Any]:
    """The samples of a step (the newest where none is named) and the steps that have some."""
    samples = selectors.samples_at(run, step)
    return {
        "samples": [reading.sample_of(one.data) for one in samples],
        "sample_steps": selectors.sampled_steps(run),
        "sample_step": samples[0].step if samples else None,
    }


@login_required
@require_POST
def run_cancel(request: HttpRequest, project_id: int, run_id: int) -> HttpResponse:
    project, user = project_of(request, project_id)
    run = selectors.run_in(project, run_id)
    try:
        services.cancel_run(run=run, actor=user)
    except Conflict as error:  # pressed in another tab, or it ended meanwhile
        messages.warning(request, str(error))
    else:
        messages.success(request, cancelled_text(run))
    return redirect("runs-detail", project.pk, run.pk)


def cancelled_text(run: TrainingRun) -> str:
    """What a cancelled run is left with."""
    if not run.is_over:
        return f"{run.name} was asked to stop; it keeps a last checkpoint."
    if run.started_at is None:
        return f"{run.name} was cancelled before it started."
    return f"{run.name} was cancelled before it went on; what it has kept stays."


@login_required
@require_POST
def run_resume(request: HttpRequest, project_id: int, run_id: int) -> HttpResponse:
    project, user = project_of(request, project_id)
    run = services.resume_run(
        run=selectors.run_in(project, run_id), actor=user, sample_on=sample_on(request, project)
    )
    messages.success(request, f"{run.name} is queued; it goes on from its newest checkpoint.")
    return redirect("runs-detail", project.pk, run.pk)


@login_required
@require_POST
def run_clone(request: HttpRequest, project_id: int, run_id: int) -> HttpResponse:
    project, user = project_of(request, project_id)
    run = services.clone_run(
        run=selectors.run_in(project, run_id), actor=user, sample_on=sample_on(request, project)
    )
    messages.success(request, "A new run with the same spec, records and models is queued.")
    return redirect("runs-detail", project.pk, run.pk)


def sample_on(request: HttpRequest, project: Project) -> services.SampleOn | None:
    """Where the form says that the run samples; None where it does not ask."""
    asked = request.POST.get("sampler")
    if not asked:
        return None if asked is None else services.SampleOn(None)
    if not is_key(asked):
        raise InvalidInput.at("sampler", f"{asked!r} is no server; choose one of the list.")
    return services.SampleOn(selectors.model_in(project, int(asked), field="sampler"))
