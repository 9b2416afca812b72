"""Pages of snapshots: the list, a new one, one with its plots, a difference, downloads."""

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.core.errors import InvalidInput
from annotation.core.jobs import waiting_text, with_places
from annotation.core.text import is_key
from annotation.datasets import drawings
from annotation.datasets.downloads import changes_download, download
from annotation.datasets.forms import SnapshotForm
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.selectors import preview_of, snapshot_for, snapshots_of
from annotation.datasets.services import comparing, exporting, requesting
from annotation.datasets.services.comparing import Change, Comparing, Difference
from annotation.datasets.services.exporting import FileFormat, Form
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from training.spec.records import SPLITS

READERS = (Role.ENGINEER, Role.ADMIN)
PAIRS_A_PAGE = 20  # of a difference


@require_GET
def snapshot_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """All snapshots of the project."""
    project = project_for(request.user, project_id, *READERS)
    page = Paginator(snapshots_of(project), 50).get_page(request.GET.get("page"))
    context = page_context(person(request), project, "datasets")
    return render(
        request, "datasets/list.html", {**context, "page": page, "snapshots": with_places(page)}
    )


@require_http_methods(["GET", "POST"])
def snapshot_new(request: HttpRequest, project_id: int) -> HttpResponse:
    """Choose what goes in, see the counts, request it."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    form = SnapshotForm(request.POST or None, project=project)
    if form.is_valid():
        snapshot = requesting.request_snapshot(
            project=project,
            name=form.cleaned_data["name"],
            query=form.query(),
            actor=person(request),
        )
        return redirect("datasets-snapshot", project.pk, snapshot.pk)
    preview = preview_of(project, requesting.checked_query(project, {}))
    context = {**page_context(person(request), project, "datasets"), "form": form}
    status = 400 if form.is_bound else 200
    return render(request, "datasets/new.html", {**context, "preview": preview}, status=status)


@require_POST
def snapshot_preview(request: HttpRequest, project_id: int) -> HttpResponse:
    """The counts beside the form, as it is filled in."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    form = SnapshotForm({"name": "preview", **_lists(request)}, project=project)
    preview = (
        preview_of(project, requesting.checked_query(project, form.query()))
        if form.is_valid()
        else None
    )
    return render(request, "datasets/_preview.html", {"preview": preview, "form": form})


def _lists(request: HttpRequest) -> dict[str, Any]:  # Any: a list for the checkboxes, else text
    many = {"labelers", "guideline_versions"}
    return {
        key: request.POST.getlist(key) if key in many else value
        for key, value in request.POST.items()
        if key != "name"
    }


@require_GET
def snapshot_detail(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """One snapshot: what it holds and how it may be had."""
    project = project_for(request.user, project_id, *READERS)
    snapshot = snapshot_for(project, pk)
    done = snapshot.status == snapshot.Status.DONE
    context = {
        **page_context(person(request), project, "datasets"),
        "snapshot": snapshot,
        "waiting_for": waiting_text(snapshot),
        "drawings": drawings.of_manifest(snapshot.manifest) if done else None,
        "samples": drawings.samples_of(snapshot) if done else [],
        "forms": list(Form),
        "file_formats": list(FileFormat),
        "splits": SPLITS,
        "others": snapshots_of(project).filter(status="done").exclude(pk=pk)[:50],
    }
    return render(request, "datasets/snapshot.html", context)


@require_GET
def snapshot_status(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """The live part while a snapshot is built; tells the page to reload once it is over."""
    project = project_for(request.user, project_id, *READERS)
    snapshot = snapshot_for(project, pk)
    context = {"snapshot": snapshot, "project": project, "waiting_for": waiting_text(snapshot)}
    answer = render(request, "datasets/_status.html", context)
    if snapshot.is_over:
        answer["HX-Refresh"] = "true"
    return answer


@require_POST
def snapshot_cancel(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """Stop it."""
    project = project_for(request.user, project_id, Role.ENGINEER)
    snapshot = snapshot_for(project, pk)
    requesting.cancel_snapshot(snapshot=snapshot, actor=person(request))
    return redirect("datasets-snapshot", project.pk, pk)


@require_GET
def snapshot_download(request: HttpRequest, project_id: int, pk: int) -> StreamingHttpResponse:
    """The records as a file."""
    project = project_for(request.user, project_id, *READERS)
    form = _one_of("form", request, exporting.SNAPSHOT_FORMS, Form.PREFERENCE_CHAT)
    formats = [one.value for one in FileFormat]
    file_format = _one_of("file_format", request, formats, FileFormat.JSONL)
    split = _one_of("split", request, ["", *SPLITS], "")
    export = exporting.export_of(snapshot_for(project, pk), form=Form(form), split=split)
    return download(export, FileFormat(file_format))


@require_GET
def judgments_download(request: HttpRequest, project_id: int) -> StreamingHttpResponse:
    """Every judgment of the project, or every signal, as it stands now."""
    project = project_for(request.user, project_id, *READERS)
    form = _one_of("form", request, exporting.PROJECT_FORMS, Form.VOTES)
    formats = [one.value for one in FileFormat]
    file_format = _one_of("file_format", request, formats, FileFormat.JSONL)
    export = exporting.judgments_export(project, form=Form(form))
    return download(export, FileFormat(file_format))


def _one_of(key: str, request: HttpRequest, allowed: Sequence[str], default: str) -> str:
    value = request.GET.get(key, default)
    if value not in allowed:
        raise InvalidInput(f"{key}={value!r} is not one of {', '.join(filter(None, allowed))}.")
    return value


@require_GET
def snapshot_difference(request: HttpRequest, project_id: int, pk: int) -> HttpResponse:
    """What changed since another snapshot: the counts, and the pairs of one change, a page at a time."""
    project = project_for(request.user, project_id, *READERS)
    snapshot, other = snapshot_for(project, pk), against_in(project, request)
    number = int(_number("page", request, "1")) or 1
    found = _page_of(number, snapshot, other)
    shown = _one_of("change", request, list(Change), _most_telling(found.counts))
    pages = Paginator(range(found.counts.changed(Change(shown))), PAIRS_A_PAGE)
    if number > pages.num_pages:
        found = _page_of(pages.num_pages, snapshot, other)
    context = {
        **page_context(person(request), project, "datasets"),
        "snapshot": snapshot,
        "other": other,
        "difference": found.counts,
        "changes": [(one, found.counts.changed(one)) for one in Change],
        "change": shown,
        "pairs": list(comparing.with_comparisons(project, found.pages[Change(shown)])),
        "page": pages.page(min(number, pages.num_pages)),
    }
    return render(request, "datasets/difference.html", context)


def _page_of(number: int, snapshot: DatasetSnapshot, other: DatasetSnapshot) -> Comparing:
    """The counts, and the pairs of a page of each change."""
    return comparing.compared(
        snapshot=snapshot, against=other, start=(number - 1) * PAIRS_A_PAGE, size=PAIRS_A_PAGE
    )


@require_GET
def snapshot_difference_csv(
    request: HttpRequest, project_id: int, pk: int
) -> StreamingHttpResponse:
    """All pairs of one change as a table."""
    project = project_for(request.user, project_id, *READERS)
    snapshot, other = snapshot_for(project, pk), against_in(project, request)
    change = Change(_one_of("change", request, list(Change), Change.FLIPPED))
    return changes_download(project, snapshot=snapshot, against=other, change=change)


def against_in(project: Project, request: HttpRequest) -> DatasetSnapshot:
    """The snapshot that the address compares with."""
    return snapshot_for(project, int(_number("against", request, "")))


def _number(key: str, request: HttpRequest, default: str) -> str:
    value = request.GET.get(key, default)
    if not is_key(value):
        raise InvalidInput(f"{key}={value!r} is not the number of a snapshot or page; choose one.")
    return value


def _most_telling(counts: Difference) -> Change:
    """What the list begins with: the first change of which there is a pair."""
    return next(filter(counts.changed, Change), Change.FLIPPED)
