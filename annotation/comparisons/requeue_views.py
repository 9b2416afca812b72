"""The page after a new guideline version: what changed, and which comparisons it asks again."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.comparisons.models import Requeue
from annotation.comparisons.services import requeue as services
from annotation.projects.guidelines import difference
from annotation.projects.models import Role
from annotation.projects.selectors import guideline_of, page_context, project_for

SHOWN = 50


@require_http_methods(["GET", "POST"])
def requeue(request: HttpRequest, project_id: int, version: int) -> HttpResponse:
    """Counts first; POST queues again what was chosen."""
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
    scopes = Requeue.Scope
    under_each = [
        (one, services.requeued_by(guideline, scope=scopes.JUDGED_UNDER, judged_under=one).count())
        for one in earlier[:5]
    ]
    context = page_context(person(request), project, "settings")
    context.update(
        tab="guideline",
        guideline=guideline,
        lines=difference(earlier[0].text, guideline.text) if earlier else [],
        before=earlier[0] if earlier else None,
        judged_before=services.requeued_by(guideline, scope=scopes.BEFORE).count(),
        disagreed=services.requeued_by(guideline, scope=scopes.DISAGREED).count(),
        under_each=under_each,
        requeues=services.requeues_of(project)[:SHOWN],
    )
    return render(request, "comparisons/requeue.html", context)


@require_POST
def requeue_undo(request: HttpRequest, project_id: int, requeue_id: int) -> HttpResponse:
    """Take back the slots that nobody has taken yet."""
    project = project_for(request.user, project_id, Role.ADMIN)
    count = services.undo_requeue(project=project, pk=requeue_id, actor=person(request))
    messages.success(request, f"Slots taken back: {count:,}. What was served meanwhile stays.")
    version = Requeue.objects.values_list("guideline__version", flat=True).get(pk=requeue_id)
    return redirect("comparisons-requeue", project.pk, version)
