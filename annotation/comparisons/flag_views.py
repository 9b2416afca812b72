"""Pages of flags: what labelers told the admins about comparisons, answered and opened again."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from annotation.accounts.authentication import person
from annotation.comparisons import selectors
from annotation.comparisons.models import Flag
from annotation.comparisons.services import flagging
from annotation.core.errors import DomainError
from annotation.projects.models import Role
from annotation.projects.selectors import page_context, project_for

PAGE_SIZE = 50


@require_GET
def flag_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """The open flags, or with ``?state=resolved`` the others, the newest first."""
    project = project_for(request.user, project_id, Role.ADMIN)
    state = request.GET.get("state", "open")
    state = state if state in selectors.FLAG_STATES else "open"
    rows = selectors.flags_with_texts(selectors.flags_in(project, state=state))
    context = page_context(person(request), project, "comparisons")
    context.update(
        page=Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        counts=selectors.flag_counts(project),
        state=state,
    )
    return render(request, "comparisons/flags.html", context)


@require_POST
def flag_resolve(request: HttpRequest, project_id: int, flag_id: int) -> HttpResponse:
    """Say that a flag was dealt with, with an answer that its labeler reads."""
    project = project_for(request.user, project_id, Role.ADMIN)
    flag = selectors.flag_of(project=project, pk=flag_id)
    try:
        answer = request.POST.get("answer", "")
        flag = flagging.resolve_flag(flag=flag, answer=answer, actor=person(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        reads = f" {flag.labeler.username} reads your answer on their page." if flag.answer else ""
        messages.success(request, f"The flag is resolved.{reads}")
    return _back(request, flag)


@require_POST
def flag_reopen(request: HttpRequest, project_id: int, flag_id: int) -> HttpResponse:
    """Open a resolved flag again."""
    project = project_for(request.user, project_id, Role.ADMIN)
    flag = selectors.flag_of(project=project, pk=flag_id)
    try:
        flagging.reopen_flag(flag=flag, actor=person(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The flag is open again; its answer is taken back.")
    return _back(request, flag)


def _back(request: HttpRequest, flag: Flag) -> HttpResponse:
    """To the page that the form was on: a comparison's, or the list."""
    if request.POST.get("from") == "comparison":
        return redirect("comparisons-detail", flag.project_id, flag.comparison_id)
    return redirect("comparisons-flags", flag.project_id)
