"""Pages of prompts: the list, one prompt, the import and what became of its rows."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.accounts.authentication import person
from annotation.accounts.models import User
from annotation.core.csv_tables import csv_download
from annotation.core.forms import refusals_in
from annotation.projects.models import Project, Role
from annotation.projects.selectors import page_context, project_for
from annotation.prompts.columns import named, unused_of
from annotation.prompts.examples import EXAMPLES
from annotation.prompts.forms import CONTENTS, UploadForm
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.selectors import (
    import_of,
    imports_of,
    prompt_of,
    prompts_of,
    rejected_of,
    rejected_table,
    rejections_of,
)
from annotation.prompts.services import requesting
from annotation.prompts.services.previewing import FilePreview, preview_file

READERS = (Role.ADMIN, Role.ENGINEER)


@require_GET
def prompt_list(request: HttpRequest, project_id: int) -> HttpResponse:
    """The prompts, newest first."""
    project = project_for(request.user, project_id, *READERS)
    search = request.GET.get("search", "")[:200].replace("\0", "")
    page = Paginator(prompts_of(project, search=search), 50).get_page(request.GET.get("page"))
    context = {**page_context(person(request), project, "prompts"), "page": page, "search": search}
    return render(request, "prompts/list.html", context)


@require_GET
def prompt_detail(request: HttpRequest, project_id: int, prompt_id: int) -> HttpResponse:
    """One prompt with all its turns."""
    project = project_for(request.user, project_id, *READERS)
    context = page_context(person(request), project, "prompts")
    prompt = prompt_of(project, prompt_id)
    facts = [prompt.source, prompt.license, prompt.category, prompt.language]
    context.update(prompt=prompt, facts=[one for one in facts if one])
    return render(request, "prompts/detail.html", context)


@require_http_methods(["GET", "POST"])
def import_new(request: HttpRequest, project_id: int) -> HttpResponse:
    """Upload a file; the earlier imports below."""
    project = project_for(request.user, project_id, Role.ADMIN)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        with refusals_in(form):
            row = start_import(form, project, person(request))
            return redirect("prompts-import", project.pk, row.pk)
    context = page_context(person(request), project, "prompts")
    context.update(form=form, imports=imports_of(project)[:20], examples=EXAMPLES)
    return render(request, "prompts/import_new.html", context, status=400 if form.is_bound else 200)


@require_POST
def import_preview(request: HttpRequest, project_id: int) -> HttpResponse:
    """The first rows of a file as they will be read; nothing is stored."""
    project_for(request.user, project_id, Role.ADMIN)
    form = UploadForm(request.POST, request.FILES)
    preview: FilePreview | None = None
    if form.is_valid():
        with refusals_in(form):
            preview = preview_file(
                chunks=form.cleaned_data["file"].chunks(),
                filename=form.cleaned_data["file"].name,
                contents=PromptImport.Contents(form.cleaned_data["contents"]),
                row_form=RowForm(form.cleaned_data["row_form"]),
            )
    unused = (
        named(unused_of(PromptImport.Contents(form.cleaned_data["contents"]), preview.columns))
        if preview
        else []
    )
    context = {"form": form, "preview": preview, "unused": unused}
    return render(request, "prompts/_preview.html", context)


def start_import(form: UploadForm, project: Project, actor: User) -> PromptImport:
    """Hand the file of a form to the service."""
    file = form.cleaned_data["file"]
    return requesting.request_import(
        project=project,
        chunks=file.chunks(),
        filename=file.name,
        actor=actor,
        contents=PromptImport.Contents(form.cleaned_data["contents"]),
        row_form=RowForm(form.cleaned_data["row_form"]),
    )


@require_GET
def import_detail(request: HttpRequest, project_id: int, import_id: int) -> HttpResponse:
    """What became of the rows of a file."""
    project = project_for(request.user, project_id, *READERS)
    row = import_of(project, import_id)
    reason = request.GET.get("reason", "").replace("\0", "")
    page = Paginator(rejected_of(row, reason=reason), 50).get_page(request.GET.get("page"))
    context = page_context(person(request), project, "prompts")
    context.update(row=row, page=page, reason=reason, reasons=rejections_of(row))
    context.update(what=CONTENTS[PromptImport.Contents(row.contents)])
    return render(request, "prompts/import_detail.html", context)


@require_GET
def import_progress(request: HttpRequest, project_id: int, import_id: int) -> HttpResponse:
    """The part of the page that moves; at the end it asks for the whole page."""
    project = project_for(request.user, project_id, *READERS)
    row = import_of(project, import_id)
    answer = render(request, "prompts/import_progress.html", {"row": row, "project": project})
    if row.is_over:
        answer["HX-Refresh"] = "true"
    return answer


@require_GET
def import_rejected(request: HttpRequest, project_id: int, import_id: int) -> StreamingHttpResponse:
    """The rejected rows as CSV."""
    project = project_for(request.user, project_id, *READERS)
    row = import_of(project, import_id)
    return csv_download(*rejected_table(row), filename=f"rejected-{row.pk}.csv")


@require_POST
def import_cancel(request: HttpRequest, project_id: int, import_id: int) -> HttpResponse:
    """Stop an import."""
    project = project_for(request.user, project_id, Role.ADMIN)
    row = import_of(project, import_id)
    requesting.cancel_import(prompt_import=row, actor=person(request))
    messages.success(request, "The import stops; the rows taken so far stay.")
    return redirect("prompts-import", project.pk, row.pk)
