"""The page after a new guideline version: what changed, and which comparisons it asks again."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.comparisons.models import Requeue
from annotation.comparisons.services import requeue as services
from annotation.core.csv_tables import csv_download
from annotation.projects.guidelines import difference
from annotation.projects.models import Guideline, Role
from annotation.projects.selectors import guideline_of, page_context, project_for

SHOWN = 50
UNDER_EACH = 5  # earlier versions, each to be asked again alone


class Choice(NamedTuple):
    """Comparisons that can be queued again: the value of the button, in words, and how many; None: not counted yet."""

    value: str
    words: str
    comparisons: int | None


@require_http_methods(["GET", "POST"])
def requeue(request: HttpRequest, project_id: int, version: int) -> HttpResponse:
    """What changed, and what can be asked again; POST queues again what was chosen.

    Of a million comparisons the counts take seconds: the page asks for them once it is there. ``?counted=yes`` waits.
    """
    project = project_for(request.user, project_id, Role.ADMIN)
    guideline = guideline_of(project=project, version=version)
    earlier = list(project.guidelines.filter(version__lt=version).order_by("-version")[:SHOWN])
    if request.method == "POST":
        scope, under = request.POST.get("scope", "").partition(":")[::2]
        judged_under = next((one for one in earlier if str(one.version) == under), None)
        row = services.requeue(
            guideline=guideline, scope=scope, judged_under=judged_under, actor=person(request)
        )
        count = len(row.comparison_ids)
        messages.success(request, f"Comparisons with one further slot: {count:,}.")
        return redirect("comparisons-requeue", project.pk, version)
    is_counted = "counted" in request.GET
    context = page_context(person(request), project, "settings")
    context.update(
        tab="guideline",
        guideline=guideline,
        lines=difference(earlier[0].text, guideline.text) if earlier else [],
        before=earlier[0] if earlier else None,
        choices=_choices(guideline, earlier, is_counted=is_counted),
        is_counted=is_counted,
        requeues=services.requeues_of(project)[:SHOWN],
    )
    return render(request, "comparisons/requeue.html", context)


@require_GET
def requeue_counts(request: HttpRequest, project_id: int, version: int) -> HttpResponse:
    """The choices with how many comparisons each has: a part of the page."""
    project = project_for(request.user, project_id, Role.ADMIN)
    guideline = guideline_of(project=project, version=version)
    choices = _counted(guideline)
    context = {
        "project": project,
        "guideline": guideline,
        "choices": choices,
        "is_counted": True,
    }
    return render(request, "comparisons/_requeue_choices.html", context)


@require_GET
def requeue_csv(request: HttpRequest, project_id: int, version: int) -> StreamingHttpResponse:
    """The same counts as CSV."""
    project = project_for(request.user, project_id, Role.ADMIN)
    choices = _counted(guideline_of(project=project, version=version))
    rows = (list(one) for one in choices)
    head = ["choice", "which", "comparisons"]
    return csv_download(head, rows, filename=f"ask-again-version-{version}.csv")


def _counted(guideline: Guideline) -> list[Choice]:
    earlier = guideline.project.guidelines.filter(version__lt=guideline.version)
    return _choices(guideline, earlier.order_by("-version")[:UNDER_EACH], is_counted=True)


def _choices(
    guideline: Guideline, earlier: Iterable[Guideline], *, is_counted: bool
) -> list[Choice]:
    """What can be queued again, with or without how much that is."""
    scopes, before = Requeue.Scope, f"judged before version {guideline.version} only"
    offered: list[tuple[str, str, dict[str, Guideline]]] = [
        (scopes.BEFORE, before, {}),
        (scopes.DISAGREED, "where labelers gave different verdicts", {}),
        *(
            (scopes.JUDGED_UNDER, f"judged under version {one.version}", {"judged_under": one})
            for one in islice(earlier, UNDER_EACH)
        ),
    ]
    return [
        Choice(
            ":".join([scope, *(str(one.version) for one in under.values())]),
            words,
            services.requeued_by(guideline, scope=scope, **under).count() if is_counted else None,
        )
        for scope, words, under in offered
    ]


@require_POST
def requeue_undo(request: HttpRequest, project_id: int, requeue_id: int) -> HttpResponse:
    """Take back the slots that nobody has taken yet."""
    project = project_for(request.user, project_id, Role.ADMIN)
    count = services.undo_requeue(project=project, pk=requeue_id, actor=person(request))
    messages.success(request, f"Slots taken back: {count:,}. What was served meanwhile stays.")
    version = Requeue.objects.values_list("guideline__version", flat=True).get(pk=requeue_id)
    return redirect("comparisons-requeue", project.pk, version)
