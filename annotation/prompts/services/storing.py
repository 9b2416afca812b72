"""Prompts into the table: each chat once in a project, each id of the file for one chat."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from annotation.core.bulk import insert_many
from annotation.core.text import fingerprint
from annotation.projects.models import Project
from annotation.prompts.models import Prompt, PromptImport
from annotation.prompts.readers.chats import ReadPrompt, Turn

PROMPT_COLUMNS = ("turns", "external_id", "category", "tags", "language", "source", "license")


@dataclass(slots=True)
class Added:
    """How many prompts are new, and why others of the batch (by place) are not taken."""

    created: int = 0
    refused: dict[int, str] = field(default_factory=dict)


def chat_fingerprint(turns: Sequence[Turn]) -> str:
    """Equal for chats that people would call equal."""
    return fingerprint([f"{turn['role']}: {turn['content']}" for turn in turns])


def add_prompts(
    *, project: Project, prompts: Sequence[ReadPrompt], prompt_import: PromptImport | None = None
) -> Added:
    """Store the prompts that the project has not; a known id with another chat is refused."""
    marks = [chat_fingerprint(one.turns) for one in prompts]
    return _add(project, prompts, marks, prompt_import)


def _add(
    project: Project,
    prompts: Sequence[ReadPrompt],
    marks: Sequence[str],
    prompt_import: PromptImport | None,
) -> Added:
    added, new = Added(), dict[str, ReadPrompt]()
    known = _known(project, marks)
    ids = _taken_ids(project, prompts)
    for place, (mark, one) in enumerate(zip(marks, prompts, strict=True)):
        if mark in known or mark in new:
            continue
        if ids.setdefault(one.external_id, mark) != mark and one.external_id:
            added.refused[place] = f"The id {one.external_id!r} names another prompt already."
            continue
        new[mark] = one
    origin = prompt_import.pk if prompt_import else None
    rows = ((mark, *(getattr(one, name) for name in PROMPT_COLUMNS)) for mark, one in new.items())
    columns = ("fingerprint", *PROMPT_COLUMNS)
    added.created = insert_many(
        Prompt, columns, rows, project_id=project.pk, prompt_import_id=origin
    )
    return added


def find_or_add(
    *, project: Project, prompts: Sequence[ReadPrompt], prompt_import: PromptImport
) -> list[int]:
    """The keys of these prompts, in order; those that the project has not are stored first.

    Rows of judgments may give one prompt several ids, or one id to several prompts: the first keeps it.
    """
    marks = [chat_fingerprint(one.turns) for one in prompts]
    ids = _taken_ids(project, prompts)
    plain = [
        one if ids.setdefault(one.external_id, mark) == mark else replace(one, external_id="")
        for mark, one in zip(marks, prompts, strict=True)
    ]
    _add(project, plain, marks, prompt_import)
    keys = dict(
        Prompt.objects.filter(project=project, fingerprint__in=set(marks)).values_list(
            "fingerprint", "pk"
        )
    )
    return [keys[mark] for mark in marks]


def _known(project: Project, marks: Sequence[str]) -> set[str]:
    rows = Prompt.objects.filter(project=project, fingerprint__in=set(marks))
    return set(rows.values_list("fingerprint", flat=True))


def _taken_ids(project: Project, prompts: Sequence[ReadPrompt]) -> dict[str, str]:
    ids = {one.external_id for one in prompts} - {""}
    rows = Prompt.objects.filter(project=project, external_id__in=ids)
    return dict(rows.values_list("external_id", "fingerprint"))
