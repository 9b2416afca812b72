"""Reading prompts and imports."""

import csv
from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet

from annotation.core.errors import NotFound
from annotation.core.text import inert
from annotation.projects.models import Project
from annotation.prompts.models import Prompt, PromptImport, RejectedRow


def prompts_of(project: Project, *, search: str = "", source: str = "") -> QuerySet[Prompt]:
    """The prompts of a project, newest first; ``search`` looks into the turns."""
    rows = Prompt.objects.filter(project=project).order_by("-pk")
    if source:
        rows = rows.filter(source=source)
    if search:
        wanted = Q(turns__icontains=search) | Q(external_id=search)
        rows = rows.filter(wanted)
    return rows


def prompt_of(project: Project, prompt_id: int) -> Prompt:
    """One prompt of the project."""
    prompt = Prompt.objects.filter(project=project, pk=prompt_id).first()
    if prompt is None:
        raise NotFound("There is no such prompt in this project.")
    return prompt


def imports_of(project: Project) -> QuerySet[PromptImport]:
    """The imports of a project, newest first."""
    return PromptImport.objects.filter(project=project).order_by("-pk")


def imports_under_way(project: Project) -> QuerySet[PromptImport]:
    """Those that wait or run, newest first."""
    under_way = (PromptImport.Status.QUEUED, PromptImport.Status.RUNNING)
    return imports_of(project).filter(status__in=under_way)


def import_of(project: Project, import_id: int) -> PromptImport:
    """One import of the project."""
    row = imports_of(project).filter(pk=import_id).first()
    if row is None:
        raise NotFound("There is no such import in this project.")
    return row


def rejected_of(prompt_import: PromptImport) -> QuerySet[RejectedRow]:
    """The rows that were not taken, or not whole, by line."""
    return RejectedRow.objects.filter(prompt_import=prompt_import).order_by("line", "pk")


class _Echo:
    """A file for `csv` that hands back what it is given."""

    def write(self, value: str) -> str:
        return value


def rejected_csv(prompt_import: PromptImport) -> Iterator[str]:
    """The rejected rows as CSV, line by line; no cell can act as a formula."""
    writer: Any = csv.writer(_Echo())  # Any: csv's writer has no public type
    yield writer.writerow(["line", "reason", "excerpt", "is_taken"])
    for row in rejected_of(prompt_import).iterator(chunk_size=1000):
        yield writer.writerow([row.line, inert(row.reason), inert(row.excerpt), row.is_taken])
