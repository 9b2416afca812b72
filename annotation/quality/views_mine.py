"""A labeler's own page: their numbers with why, their hours, what was decided about their work, and how to appeal."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.accounts.authentication import person
from annotation.accounts.zones import zone_of
from annotation.core.csv_tables import csv_lines
from annotation.core.errors import DomainError
from annotation.projects.models import Membership, Role
from annotation.projects.selectors import page_context, project_for
from annotation.quality import disputes, mine, numbers
from annotation.quality.acts import acts_on, read_messages
from annotation.quality.appealed import appealed
from annotation.quality.latest import latest_of
from annotation.quality.people_forms import key_from

DAYS_SHOWN = 14


@never_cache
@require_GET
def my_work(request: HttpRequest, project_id: int) -> HttpResponse:
    """The page; what it shows of messages counts as read."""
    project = project_for(request.user, project_id, Role.LABELER)
    me = person(request)
    appeals = list(disputes.disputes_of(project).filter(labeler=me))
    about = appealed(project, appeals)
    training = mine.training_answers(project, me.pk)
    found = numbers.own_numbers(project, me)
    context = {
        **page_context(me, project, "my-work"),
        "member": Membership.objects.get(project=project, user=me, role=Role.LABELER),
        "numbers": found,
        "with_others": mine.said_to_them(found.with_others),
        "acts": list(acts_on(project, me.pk).filter(undone_at=None)[:DAYS_SHOWN]),
        "decided": mine.decided_otherwise(project, me.pk),
        "training": training,
        "training_right": sum(one.is_right for one in training),
        "ruled": mine.rules_in_words(project, me.pk),
        "flags": mine.flagged(project, me.pk),
        "latest": latest_of(project, me.pk, request.GET.get("page")),
        "attempt": project.exam_attempts.filter(labeler=me).order_by("-number").first(),
        "days": numbers.days_of(project, me.pk, zone=zone_of(me)),
        "days_shown": DAYS_SHOWN,
        "appeals": [(one, about[one.pk]) for one in appeals],
        "appealed": {f"{one.subject}-{one.subject_id}" for one in appeals},
    }
    answer = render(request, "quality/my_work.html", context)
    read_messages(project=project, labeler=me)
    return answer


@require_GET
def my_hours(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """The hours statement as CSV."""
    project = project_for(request.user, project_id, Role.LABELER)
    me = person(request)
    rows = [
        [one.day.isoformat(), one.judgments, round(one.hours, 3)]
        for one in numbers.days_of(project, me.pk, zone=zone_of(me))
    ]
    lines = (line.encode() for line in csv_lines(["day", "answers", "active_hours"], rows))
    headers: dict[str, Any] = {  # Any: as Django types it
        "Content-Disposition": f'attachment; filename="hours-project-{project.pk}.csv"'
    }
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


@require_POST
def my_dispute(request: HttpRequest, project_id: int) -> HttpResponse:
    """Appeal one thing."""
    project = project_for(request.user, project_id, Role.LABELER)
    try:
        disputes.open_dispute(
            project=project,
            labeler=person(request),
            subject=request.POST.get("subject", ""),
            subject_id=key_from(request.POST, "subject_id"),
            text=request.POST.get("text", ""),
        )
        messages.success(request, _("Your appeal is with the admins. Their answer appears here."))
    except DomainError as error:
        messages.error(request, str(error))
    return redirect("quality-my-work", project.pk)
