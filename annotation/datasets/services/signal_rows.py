"""Signals as rows, one each: who accepted or rejected which response, and when. They are read back without loss."""

from collections.abc import Iterator
from typing import Any

from annotation.datasets.services.judgment_rows import AT_ONCE, FACTS, Row, moment_text, pseudonym
from annotation.datasets.services.plain_texts import plain_reply
from annotation.projects.models import Project

_COLUMNS = (
    "prompt__turns",
    "candidate__text",
    "candidate__source_name",
    "candidate__policy__name",
    "candidate__is_finished",
    "is_accepted",
    "labeler_id",
    "labeler__first_name",
    "created_at",
    *(f"prompt__{name}" for name in FACTS),
)


def signal_rows(project: Project) -> Iterator[Row]:
    """Every signal of the project, in the order stored; a few hundred in memory at a time."""
    rows = project.signals.order_by("pk").values_list(*_COLUMNS)
    for row in rows.iterator(chunk_size=AT_ONCE):
        yield _row(project, row)


def _row(project: Project, row: tuple[Any, ...]) -> Row:
    turns, text, source_name, policy, is_finished, is_accepted, labeler_id, name, moment = row[:9]
    facts = zip(("id", *FACTS[1:]), row[9:], strict=True)
    return {
        **{fact: value for fact, value in facts if value},
        "prompt": turns,
        "completion": plain_reply(text),
        "completion_is_finished": is_finished,
        "label": is_accepted,
        "model": policy or source_name,
        "labeler": pseudonym(project, labeler_id, name),
        "created_at": moment_text(moment),
    }
