"""Giving judgments away, of a snapshot or of a project as it is; rows stream, memory stays flat.

The plain forms hold text; the "chat" forms hold messages. A plain prompt of one user turn is its text; a longer chat
is written as Anthropic's HH transcript, because that is what readers of plain prompts know. What would be read
otherwise than it was is written so that it is read as it was.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.utils.text import slugify

from annotation.comparisons.models import Judgment
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.query import EVERYBODY, SnapshotQuery
from annotation.datasets.selectors import folder_of, judgments_for, votes_for
from annotation.datasets.services import files, judgment_rows, label_studio
from annotation.datasets.services.judgment_rows import Vote, label_columns
from annotation.datasets.services.plain_texts import message_of, plain_prompt, plain_reply
from annotation.datasets.services.signal_rows import signal_rows
from annotation.projects.models import Project
from training.spec.errors import DataError
from training.spec.records import (
    GROUPS_FILE,
    JUDGED,
    SPLITS,
    DemonstrationText,
    Group,
    Turn,
    group_to_json,
    read_groups,
)
from training.spec.splits import split_key

Row = dict[str, Any]  # Any: JSON
Said = str | list[dict[str, str]]  # a text, or messages
SIGNALED = "signal"  # a KTO row of a response that was accepted or rejected alone
CHOSEN = "chosen"  # an SFT row that is the best judged candidate


class Form(StrEnum):
    """What a row is."""

    PREFERENCE = "preference"
    PREFERENCE_CHAT = "preference_chat"
    KTO = "kto"
    KTO_CHAT = "kto_chat"
    SFT = "sft"
    SFT_CHAT = "sft_chat"
    GROUPS = "groups"
    VOTES = "votes"
    RANKING = "ranking"
    LABELS = "labels"
    LABEL_STUDIO = "label_studio"
    SIGNALS = "signals"


SHAPES: dict[str, Callable[[Iterator[Vote]], Iterator[Row]]] = {
    "votes": judgment_rows.vote_rows,
    "ranking": judgment_rows.ranking_rows,
    "labels": judgment_rows.label_rows,
    "label_studio": label_studio.task_rows,
}
JUDGMENT_FORMS = tuple(Form(name) for name in SHAPES)
PROJECT_FORMS = (*JUDGMENT_FORMS, Form.SIGNALS)  # that need no snapshot
SNAPSHOT_FORMS = tuple(one for one in Form if one != Form.SIGNALS)
EVERYTHING = SnapshotQuery(labelers=EVERYBODY)


class FileFormat(StrEnum):
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Rows on their way into a file: their columns are known before the first row is read."""

    form: Form
    name: str  # of the file, without its ending
    columns: files.Columns
    rows: Iterator[Row]

    def filename(self, file_format: FileFormat) -> str:
        return f"{self.name}.{file_format}"

    def pieces(self, file_format: FileFormat) -> Iterator[bytes]:
        """The bytes of the file, in pieces worth sending."""
        if file_format == FileFormat.JSONL:
            return files.jsonl(self.rows)
        if file_format == FileFormat.JSON:
            return files.json_array(self.rows)
        if self.form == Form.LABEL_STUDIO:
            raise InvalidInput(
                "Tasks of Label Studio are nested; take them as JSON, which it imports."
            )
        if file_format == FileFormat.CSV:
            # What labelers wrote is opened in spreadsheets; what trainers read must stay as it is.
            is_inert = self.form in PROJECT_FORMS
            return files.csv_lines(self.rows, self.columns, is_inert=is_inert)
        return files.parquet_pieces(self.rows, self.columns)


def export_of(snapshot: DatasetSnapshot, *, form: Form, split: str = "") -> Export:
    """The rows of a finished snapshot in one form, of one split or of all."""
    rows = rows_of(snapshot, form=form, split=split)
    stem = slugify(snapshot.name) or f"snapshot-{snapshot.pk}"
    words = [stem, snapshot.sha256[:8], form.value, split]
    columns = files.columns_of(form.value)
    if form == Form.LABELS:
        columns = files.text_columns(label_columns(_judgments(snapshot)))
    name = "-".join(word for word in words if word)
    return Export(form=form, name=name, columns=columns, rows=rows)


def judgments_export(project: Project, *, form: Form) -> Export:
    """Every judgment or signal of the project that stands, as it is now; no snapshot is needed.

    Votes have repeats too.
    """
    if form not in PROJECT_FORMS:
        known = ", ".join(PROJECT_FORMS)
        raise InvalidInput(f"form={form.value!r} needs a snapshot; without one there is {known}.")
    name = f"{slugify(project.name) or project.pk}-{form.value}"
    if form == Form.SIGNALS:
        columns, told = files.columns_of(form.value), signal_rows(project)
        return Export(form=form, name=name, columns=columns, rows=told)
    judgments = (votes_for if form == Form.VOTES else judgments_for)(project, EVERYTHING)
    columns = files.columns_of(form.value)
    if form == Form.LABELS:
        columns = files.text_columns(label_columns(judgments))
    rows = SHAPES[form](judgment_rows.votes_of(project, judgments))
    return Export(form=form, name=name, columns=columns, rows=rows)


def _judgments(snapshot: DatasetSnapshot) -> QuerySet[Judgment]:
    """The judgments that the snapshot is made of; they are frozen."""
    query = SnapshotQuery.from_json(snapshot.query)
    up_to = snapshot.manifest.get("judgments", {}).get("last_id")
    return judgments_for(snapshot.project, query, up_to=up_to)


def _votes(snapshot: DatasetSnapshot, split: str) -> Iterator[Vote]:
    query = SnapshotQuery.from_json(snapshot.query)
    for vote in judgment_rows.votes_of(snapshot.project, _judgments(snapshot)):
        turns = tuple(Turn(**turn) for turn in vote.item.turns)
        if not split or query.split_of(split_key(turns)) == split:
            yield vote


def rows_of(snapshot: DatasetSnapshot, *, form: Form, split: str = "") -> Iterator[Row]:
    """The rows of one form, of one split or of all; one group in memory at a time."""
    if split and split not in SPLITS:
        raise InvalidInput(f"split={split!r} is not one of {', '.join(SPLITS)}.")
    if form not in SNAPSHOT_FORMS:
        raise InvalidInput(
            f"form={form.value!r} is of a project, not of a snapshot: export the project's judgments in this form."
        )
    if snapshot.status != snapshot.Status.DONE:
        raise Conflict(f"{snapshot.name} is {snapshot.status}; only a finished snapshot has rows.")
    if form in JUDGMENT_FORMS:
        return SHAPES[form](_votes(snapshot, split))
    folder = folder_of(snapshot)
    if not (folder / GROUPS_FILE).is_file():
        raise Conflict(f"The records of {snapshot.name} are gone from {folder}; request it again.")
    return _rows(folder, FORMS[form], split)


def _rows(folder: Path, shape: Callable[[Group], Iterator[Row]], split: str) -> Iterator[Row]:
    try:
        for group in read_groups(folder):
            if not split or group.split == split:
                yield from shape(group)
    except DataError as error:
        raise Conflict(f"The files of this snapshot cannot be read: {error}") from error


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _preferences(group: Group) -> Iterator[Row]:
    yield from _pair_rows(group, plain_prompt(group.prompt), plain_reply)


def _chat_preferences(group: Group) -> Iterator[Row]:
    yield from _pair_rows(group, _messages(group.prompt), message_of)


def _pair_rows(group: Group, prompt: Said, reply: Callable[[str], Said]) -> Iterator[Row]:
    for pair in group.pairs:
        if pair.is_tie:
            continue
        chosen, rejected = group.candidate(pair.chosen), group.candidate(pair.rejected)
        yield {
            "prompt": prompt,
            "chosen": reply(chosen.text),
            "rejected": reply(rejected.text),
            "margin": pair.margin,
            "soft_label": pair.soft_label,
            "votes_chosen": pair.votes_chosen,
            "votes_rejected": pair.votes_rejected,
            "votes_tied": pair.votes_tied,
            "votes_machine": pair.votes_machine,
            "chosen_is_finished": chosen.is_finished,
            "rejected_is_finished": rejected.is_finished,
            "source": pair.source,
            "split": group.split,
            "prompt_id": group.prompt_id,
        }


def standing(group: Group) -> Counter[str]:
    """How often each candidate was chosen, less how often it was rejected."""
    wins: Counter[str] = Counter()
    for pair in group.pairs:
        if not pair.is_tie:
            wins[pair.chosen] += 1
            wins[pair.rejected] -= 1
    return wins


def _kto(group: Group) -> Iterator[Row]:
    yield from _kto_rows(group, plain_prompt(group.prompt), plain_reply)


def _chat_kto(group: Group) -> Iterator[Row]:
    yield from _kto_rows(group, _messages(group.prompt), message_of)


def _kto_rows(group: Group, prompt: Said, reply: Callable[[str], Said]) -> Iterator[Row]:
    """A candidate as often liked as disliked, in pairs and alone, says nothing, so it gives no row."""
    wins, sources = standing(group), _sources(group)
    for signal in group.signals:
        wins[signal.candidate] += signal.accepted - signal.rejected
    for candidate in group.candidates:
        is_bad = candidate.id in group.unacceptable
        if wins[candidate.id] or is_bad:
            yield {
                "prompt": prompt,
                "completion": reply(candidate.text),
                "label": wins[candidate.id] > 0 and not is_bad,
                "completion_is_finished": candidate.is_finished,
                "source": JUDGED if is_bad else _source(sources[candidate.id]),
                "split": group.split,
                "prompt_id": group.prompt_id,
            }


def _source(sources: set[str]) -> str:
    """One word: a judgment where there is one among several."""
    return next(iter(sources)) if len(sources) == 1 else JUDGED


def _sources(group: Group) -> dict[str, set[str]]:
    """Where what is known of each candidate comes from."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for pair in group.pairs:
        found[pair.chosen].add(pair.source)
        found[pair.rejected].add(pair.source)
    for signal in group.signals:
        found[signal.candidate].add(SIGNALED)
    return found


def responses_to_imitate(group: Group) -> tuple[DemonstrationText, ...]:
    """What people wrote; without that the best of what they chose, if any is acceptable."""
    if group.demonstrations:
        return group.demonstrations
    wins = standing(group)
    liked = [
        one for one in group.candidates if wins[one.id] > 0 and one.id not in group.unacceptable
    ]
    if not liked:
        return ()
    best = max(liked, key=lambda one: wins[one.id])
    return (DemonstrationText(text=best.text, source=CHOSEN, is_finished=best.is_finished),)


def _sft(group: Group) -> Iterator[Row]:
    for one in responses_to_imitate(group):
        prompt = plain_prompt(group.prompt)
        yield {
            "prompt": prompt,
            "completion": plain_reply(one.text),
            "completion_is_finished": one.is_finished,
            "source": one.source,
            "split": group.split,
            "prompt_id": group.prompt_id,
        }


def _chat_sft(group: Group) -> Iterator[Row]:
    for one in responses_to_imitate(group):
        messages = [*_messages(group.prompt), *message_of(one.text)]
        yield {
            "messages": messages,
            "completion_is_finished": one.is_finished,
            "source": one.source,
            "split": group.split,
            "prompt_id": group.prompt_id,
        }


def _whole(group: Group) -> Iterator[Row]:
    row = json.loads(group_to_json(group))
    told = {
        name: [{"is_finished": True, **one} for one in row[name]]
        for name in ("candidates", "demonstrations")
    }
    yield {"criterion_pairs": [], **row, **told}


FORMS: dict[Form, Callable[[Group], Iterator[Row]]] = {
    Form.PREFERENCE: _preferences,
    Form.PREFERENCE_CHAT: _chat_preferences,
    Form.KTO: _kto,
    Form.KTO_CHAT: _chat_kto,
    Form.SFT: _sft,
    Form.SFT_CHAT: _chat_sft,
    Form.GROUPS: _whole,
}
