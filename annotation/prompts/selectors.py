"""Reading prompts and imports."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from annotation.core.csv_tables import Row
from annotation.core.errors import NotFound
from annotation.core.jobs import UNDER_WAY
from annotation.projects.models import Project
from annotation.prompts.models import Prompt, PromptImport, RejectedRow

REASONS_SHOWN = 20


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
    return imports_of(project).filter(status__in=UNDER_WAY)


def import_of(project: Project, import_id: int) -> PromptImport:
    """One import of the project."""
    row = imports_of(project).filter(pk=import_id).first()
    if row is None:
        raise NotFound("There is no such import in this project.")
    return row


def rejected_of(prompt_import: PromptImport, *, reason: str = "") -> QuerySet[RejectedRow]:
    """The rows that were not taken, or not whole, by line; of one reason where it is named."""
    rows = RejectedRow.objects.filter(prompt_import=prompt_import).order_by("line", "pk")
    return rows.filter(reason=reason) if reason else rows


def rejections_of(
    prompt_import: PromptImport,
) -> Iterable[Mapping[str, Any]]:  # Any: columns differ
    """Why rows were rejected: how many, and the first line; what rejected most of them first."""
    found = rejected_of(prompt_import).order_by().values("reason", "is_taken")
    counted = found.annotate(rows=Count("pk"), first=Min("line"))
    return counted.order_by("-rows", "first")[:REASONS_SHOWN]


def rejected_table(prompt_import: PromptImport) -> tuple[list[str], Iterator[Row]]:
    """The head and the rows of a table of the rejected rows."""
    rows = rejected_of(prompt_import).iterator(chunk_size=1000)
    told = ([row.line, row.reason, row.excerpt, row.is_taken] for row in rows)
    return ["line", "reason", "excerpt", "is_taken"], told
