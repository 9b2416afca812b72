"""Pages of batches: the list, a new one with a count first, one with its pace."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.comparisons import batches
from annotation.comparisons.batch_forms import BatchForm, NewBatchForm
from annotation.comparisons.pace import forecast_of
from annotation.comparisons.services import again
from annotation.comparisons.services import batches as services
from annotation.core.forms import refusals_in
from annotation.projects.models import Role
from annotation.projects.selectors import page_context, project_for
from annotation.ui import charts
from annotation.ui.minus import with_minus

DONE = {"open": "open again", "paused": "paused", "closed": "closed"}


@require_GET
def batch_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """Every batch with how far it is."""
    project = project_for(request.user, project_id, Role.ADMIN)
    context = page_context(person(request), project, "comparisons")
    context["batches"] = batches.batches_of(project)[:200]
    return render(request, "comparisons/batches.html", context)


@require_http_methods(["GET", "POST"])
def batch_new(request: HttpRequest, project_id: int) -> HttpResponse:
    """Choose prompts by a filter, which the address may begin; counted first, made by the second button."""
    project = project_for(request.user, project_id, Role.ADMIN)
    posted = request.POST if request.method == "POST" else None
    asked = posted or request.GET
    choices = batches.choices_of(project, prompt_import=asked.get("prompt_import", ""))
    form = NewBatchForm(posted, choices=choices, initial=request.GET.dict())
    is_counting = posted is not None and posted.get("act") == "count"
    form.fields["name"].required = not is_counting
    counted = None
    if form.is_valid():
        if is_counting:
            counted = services.preview(project, form.chosen())
        else:
            with refusals_in(form):
                batch = services.create_batch(
                    project=project,
                    chosen=form.chosen(),
                    name=form.cleaned_data["name"],
                    priority=form.cleaned_data["priority"],
                    deadline=form.cleaned_data["deadline"],
                    strategy=form.cleaned_data["strategy"] or None,
                    actor=person(request),
                )
                return redirect("comparisons-batch", project.pk, batch.pk)
    context = page_context(person(request), project, "comparisons")
    context.update(form=form, counted=counted)
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "comparisons/batch_new.html", context, status=status)


@require_http_methods(["GET", "POST"])
def batch_detail(request: HttpRequest, project_id: int, batch_id: int) -> HttpResponse:
    """One batch: how far, how fast, when it ends; POST renames, moves, dates it."""
    project = project_for(request.user, project_id, Role.ADMIN)
    batch = batches.batch_of(project, batch_id)
    initial = {"name": batch.name, "priority": batch.priority, "deadline": batch.deadline}
    form = BatchForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            services.update_batch(batch=batch, actor=person(request), **form.cleaned_data)
            messages.success(request, "The batch is saved.")
            return redirect("comparisons-batch", project.pk, batch.pk)
    left = batch.labels_wanted - batch.labels_given  # type: ignore[attr-defined] # annotated
    forecast = forecast_of(project, left=left, batch=batch, days=batches.CHART_DAYS)
    ago = range(len(forecast.by_day) - 1, -1, -1)
    days = [
        charts.Bar("24 h" if day == 0 else with_minus(f"-{day} d"), count)
        for day, count in zip(ago, forecast.by_day, strict=True)
    ]
    context = page_context(person(request), project, "comparisons")
    context.update(
        batch=batch,
        form=form,
        left=left,
        forecast=forecast,
        days=days,
        chart=charts.bars(days, label="Labels in each of the last days, back from now"),
    )
    status = 400 if form.is_bound else 200
    return render(request, "comparisons/batch.html", context, status=status)


@require_POST
def batch_state(request: HttpRequest, project_id: int, batch_id: int) -> HttpResponse:
    """Pause, close or open a batch."""
    project = project_for(request.user, project_id, Role.ADMIN)
    batch = batches.batch_of(project, batch_id)
    state = request.POST.get("state", "")
    services.set_state(batch=batch, state=state, actor=person(request))
    messages.success(request, f"{batch.name} is {DONE[state]}.")
    return redirect("comparisons-batch", project.pk, batch.pk)


@require_POST
def batch_undo(request: HttpRequest, project_id: int, batch_id: int) -> HttpResponse:
    """Take back what is asked again and nobody has taken yet."""
    project = project_for(request.user, project_id, Role.ADMIN)
    count = again.undo_asking(project=project, pk=batch_id, actor=person(request))
    messages.success(request, f"Places taken back: {count:,}. What was served meanwhile stays.")
    return redirect("comparisons-batches", project.pk)
