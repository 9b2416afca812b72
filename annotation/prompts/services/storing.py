"""Prompts into the table: each chat once in a project, each id of the file for one chat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from annotation.core.bulk import copy_rows, new_keys
from annotation.core.statements import run
from annotation.core.text import fingerprint
from annotation.projects.models import Project
from annotation.prompts.models import Prompt, PromptImport
from annotation.prompts.readers.chats import ReadPrompt, Turn

PROMPT_COLUMNS = ("turns", "external_id", "category", "tags", "language", "source", "license")
_values = attrgetter(*PROMPT_COLUMNS)


@dataclass(slots=True)
class Added:
    """The keys of prompts by their fingerprint, which of them are new, and whose id (by place) names another."""

    keys: dict[str, int]
    new: set[int] = field(default_factory=set)
    clashing: dict[int, str] = field(default_factory=dict)  # why, in a sentence


def chat_fingerprint(turns: Sequence[Turn]) -> str:
    """Equal for chats that people would call equal."""
    return fingerprint([f"{turn['role']}: {turn['content']}" for turn in turns])


def add_prompts(
    *, project: Project, prompts: Sequence[ReadPrompt], prompt_import: PromptImport | None = None
) -> Added:
    """Store the prompts that the project has not; a known id with another chat is refused.

    Raises IntegrityError where another process stores one of them at the same time.
    """
    marks = [chat_fingerprint(one.turns) for one in prompts]
    return _add(project, prompts, marks, prompt_import, keeps_clashing=False)


def _add(
    project: Project,
    prompts: Sequence[ReadPrompt],
    marks: Sequence[str],
    prompt_import: PromptImport | None,
    *,
    keeps_clashing: bool,
) -> Added:
    added, new = Added(_known(project, marks)), dict[str, ReadPrompt]()
    ids = _taken_ids(project, prompts)
    for place, (mark, one) in enumerate(zip(marks, prompts, strict=True)):
        if mark in added.keys or mark in new:
            continue
        if one.external_id and ids.setdefault(one.external_id, mark) != mark:
            added.clashing[place] = f"The id {one.external_id!r} names another prompt already."
            if keeps_clashing:
                new[mark] = replace(one, external_id="")
            continue
        new[mark] = one
    keys = dict(zip(new, new_keys(Prompt, len(new)), strict=True))
    _store(project, new, keys, prompt_import)
    added.keys |= keys
    added.new |= set(keys.values())
    return added


def _store(
    project: Project,
    new: Mapping[str, ReadPrompt],
    keys: Mapping[str, int],
    prompt_import: PromptImport | None,
) -> None:
    rows = ((keys[mark], mark, *_values(one)) for mark, one in new.items())
    origin = prompt_import.pk if prompt_import else None
    columns = ("id", "fingerprint", *PROMPT_COLUMNS)
    if new:
        copy_rows(Prompt, columns, rows, project_id=project.pk, prompt_import_id=origin)


def find_or_add(
    *,
    project: Project,
    prompts: Sequence[ReadPrompt],
    marks: Sequence[str],
    prompt_import: PromptImport,
) -> Added:
    """These prompts, whose fingerprints are ``marks``: those that the project had not are stored first.

    Rows of judgments may give one prompt several ids, or one id to several prompts: the first keeps it.
    """
    return _add(project, prompts, marks, prompt_import, keeps_clashing=True)


def _known(project: Project, marks: Sequence[str]) -> dict[str, int]:
    """Joined, for `= ANY` of a plan made early compares every prompt of the project with every mark.

    The marks are sent as one text: to write an array of them takes as long as to look for them.
    """
    statement = """SELECT fingerprint, id FROM unnest(string_to_array(%(marks)s, ',')) AS wanted
        JOIN prompts_prompt ON project_id = %(project)s AND fingerprint = wanted"""
    return dict(run(statement, {"project": project.pk, "marks": ",".join(set(marks))}))


def _taken_ids(project: Project, prompts: Sequence[ReadPrompt]) -> dict[str, str]:
    ids = {one.external_id for one in prompts if one.external_id}
    if not ids:
        return {}
    rows = Prompt.objects.filter(project=project, external_id__in=ids)
    return dict(rows.values_list("external_id", "fingerprint"))
