"""Pages of demonstrations: the writer's bench and list; the admin's list, request and review."""

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.comparisons.selectors import preferences_of
from annotation.comparisons.worddiff import word_changes
from annotation.core.errors import DomainError, InvalidInput
from annotation.core.forms import refusals_in
from annotation.demonstrations import selectors
from annotation.demonstrations.bench import bench_for, shown_turns
from annotation.demonstrations.forms import AskForm
from annotation.demonstrations.models import Demonstration, Version
from annotation.demonstrations.services import asking, reviewing, writing
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from annotation.ui import markdown

PAGE_SIZE = 50
LARGEST_KEY = 2**63 - 1
SENT = gettext_lazy("Sent to review. Z takes it back.")
BACK = gettext_lazy("Your last text is back. Send it again when it is ready.")


@never_cache
@require_GET
def write(request: HttpRequest, project_id: int) -> HttpResponse:
    """The bench with the next opening, or why there is none."""
    project = project_for(request.user, project_id, Role.LABELER)
    found = writing.lease_next(project=project, author=person(request))
    return _bench(request, project, found)


@never_cache
@require_http_methods(["GET", "POST"])
def work(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """One of the author's own: written on while it is theirs, else shown. A post is the plain form."""
    project = project_for(request.user, project_id, Role.LABELER)
    row = selectors.own_demonstration(project, author_id=person(request).pk, pk=pk)
    if request.method == "POST":
        return _act(request, project, row)
    if row.is_with_author:
        return _bench(request, project, row)
    context = {
        **page_context(person(request), project, "write"),
        "row": row,
        "turns": shown_turns(row),
        "html": markdown.render(row.text),
        "states": Demonstration.State,
    }
    return render(request, "demonstrations/work.html", context)


@require_POST
def withdraw(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Take a submitted text back."""
    project = project_for(request.user, project_id, Role.LABELER)
    row = selectors.own_demonstration(project, author_id=person(request).pk, pk=pk)
    writing.withdraw(demonstration=row)
    address = reverse("demonstrations-work", args=[project.pk, row.pk])
    return redirect(f"{address}?back")


@require_GET
def mine(request: HttpRequest, project_id: int) -> HttpResponse:
    """What this person wrote or began here."""
    project = project_for(request.user, project_id, Role.LABELER)
    rows = selectors.own_demonstrations(project, author_id=person(request).pk)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {**page_context(person(request), project, "write"), "page": page}
    return render(request, "demonstrations/mine.html", context)


@require_GET
def opening_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """Every opening with its state and who writes it; filters in the address."""
    project = project_for(request.user, project_id, Role.ADMIN)
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    rows = selectors.openings_in(project, state=state, kind=kind)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    openings = list(page)
    holders = selectors.holders_of(openings)
    context = {
        **page_context(person(request), project, "demonstrations"),
        "page": page,
        "rows": [(one, holders.get(one.pk)) for one in openings],
        "state": state,
        "kind": kind,
        "filters": selectors.FILTERS,
        "kinds": Demonstration.Kind.values,
        "progress": selectors.progress_of(project),
        "page_query": urlencode({"state": state, "kind": kind}) + "&",
    }
    return render(request, "demonstrations/list.html", context)


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, project_id: int) -> HttpResponse:
    """Ask for demonstrations or edits."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = AskForm(request.POST or None, project=project)
    context = {**page_context(person(request), project, "demonstrations"), "form": form}
    if form.is_valid():
        fields = {"project": project, "actor": person(request), **form.cleaned_data}
        with refusals_in(form):
            if request.POST.get("act") != "count":
                return _asked(request, project, asking.ask(**fields))
            context["counted"] = asking.count_asked(**fields)
    status = 400 if form.is_bound and "counted" not in context else 200
    return render(request, "demonstrations/ask.html", context, status=status)


@require_POST
def opening_state(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Withdraw an opening, or put it back."""
    project = project_for(request.user, project_id, Role.ADMIN)
    opening = selectors.opening_of(project, pk)
    is_closed = request.POST.get("is_closed") == "yes"
    asking.set_closed(opening=opening, is_closed=is_closed, actor=person(request))
    return redirect("demonstrations-list", project.pk)


@never_cache
@require_http_methods(["GET", "POST"])
def review(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """One demonstration: the text, how it differs, its versions, and the verdict."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = selectors.demonstration_of(project, pk)
    if request.method == "POST":
        return _judge(request, project, row)
    versions = list(row.versions.select_related("written_by").order_by("pk"))
    latest = selectors.latest_version(row)
    final = row.candidate.text if row.candidate else row.text
    before = row.source.text if row.source else _changed_from(versions)
    context = {
        **page_context(person(request), project, "demonstrations"),
        "row": row,
        "turns": shown_turns(row),
        "html": markdown.render(final),
        "original": markdown.render(row.source.text) if row.source else None,
        "difference": word_changes(before, final) if before is not None else None,
        "has_before": before is not None,
        "versions": versions[::-1],
        "version": latest,
        "is_own": row.author_id == person(request).pk,
        "next": selectors.next_to_review(project, after=row, reviewer_id=person(request).pk),
    }
    return render(request, "demonstrations/review.html", context)


def _changed_from(versions: list[Version]) -> str | None:
    """The version before the newest, where they differ."""
    texts = [one.text for one in versions[-2:]]
    return texts[0] if len(set(texts)) == 2 else None


def _bench(
    request: HttpRequest, project: Project, found: Demonstration | writing.NothingToWrite
) -> HttpResponse:
    author = person(request)
    row = found if isinstance(found, Demonstration) else None
    last = selectors.last_submitted(project, author_id=author.pk)
    context = {
        **page_context(author, project, "write"),
        "bench": bench_for(row) if row else None,
        "empty": None if row else found,
        "returned": selectors.returned_to(project, author_id=author.pk),
        "last": last,
        "said": _said(request, last),
        "break_after_minutes": preferences_of(author.pk).break_after_minutes,
    }
    return render(request, "demonstrations/write.html", context)


def _said(request: HttpRequest, last: Demonstration | None) -> str | Promise:
    """What was done last, by the address; nothing of a text that was sent and does not wait any more."""
    if last is not None and request.GET.get("sent") == str(last.pk):
        return SENT
    return BACK if "back" in request.GET else ""


def _act(request: HttpRequest, project: Project, row: Demonstration) -> HttpResponse:
    """Save, submit or skip by the plain form; what was typed is kept even where it is refused."""
    text, act = request.POST.get("text", ""), request.POST.get("act", "save")
    try:
        if reason := request.POST.get("reason"):
            active_ms = min(_number(request.POST.get("active_ms", "")), writing.LARGEST_INTEGER)
            writing.skip(demonstration=row, reason=reason, active_ms=active_ms)
        elif act == "submit":
            uuid = _uuid(request.POST.get("client_uuid", ""))
            writing.submit(demonstration=row, client_uuid=uuid, text=text)
        else:
            writing.save_draft(demonstration=row, text=text)
            return redirect("demonstrations-work", project.pk, row.pk)
    except InvalidInput as error:
        messages.error(request, str(error))
        return redirect("demonstrations-work", project.pk, row.pk)
    address = reverse("demonstrations-write", args=[project.pk])
    return redirect(address if reason else f"{address}?sent={row.pk}")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput(_("The form is incomplete; load the page again.")) from error


def _judge(request: HttpRequest, project: Project, row: Demonstration) -> HttpResponse:
    actor, act = person(request), request.POST.get("act", "")
    note, version = request.POST.get("note", ""), _number(request.POST.get("version", ""))
    try:
        if act == "approve":
            text = request.POST.get("text") if request.POST.get("is_changed") else None
            reviewing.approve(
                demonstration=row, reviewer=actor, version=version, text=text, note=note
            )
            messages.success(request, "Approved. It is a candidate of its prompt now.")
        elif act == "return":
            reviewing.send_back(demonstration=row, reviewer=actor, version=version, note=note)
            messages.success(request, "Returned to its author with your note.")
        elif act == "reverse":
            reviewing.reverse(demonstration=row, actor=actor)
        elif act == "release":
            reviewing.release(demonstration=row, actor=actor)
            messages.success(request, "Released: another person may write it now.")
        else:
            raise InvalidInput(f"There is no act {act!r} here.")
    except DomainError as error:
        messages.error(request, str(error))
    return redirect("demonstrations-review", project.pk, row.pk)


def _number(text: str) -> int:
    is_key = text.isascii() and text.isdecimal() and len(text) < 20
    return min(int(text), LARGEST_KEY) if is_key else 0


def _asked(request: HttpRequest, project: Project, made: int) -> HttpResponse:
    if made:
        messages.success(request, f"Openings made: {made}. Labelers find them under Write.")
    else:
        messages.warning(
            request, "No prompt fits that is not asked about already; nothing was opened."
        )
    return redirect("demonstrations-list", project.pk)
