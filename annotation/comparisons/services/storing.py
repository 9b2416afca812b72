"""Batches of rows into tables: comparisons, judgments and signals, each once.

Each ``store_...`` is one batch, inside the caller's transaction. Keys are taken before the rows are written, so that
all of a batch goes into the tables by COPY. Raises IntegrityError where another process stores one of them at the
same time.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from secrets import token_hex
from typing import Any, NamedTuple

from django.db import IntegrityError
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from annotation.comparisons.models import Comparison, Judgment, Signal
from annotation.comparisons.services.early_stop import settle
from annotation.comparisons.services.pairing import Pairing, drawn_overlap, held
from annotation.comparisons.services.placing import Item, Placed, Spoken, labelers_of, place
from annotation.core.bulk import copy_rows, new_keys
from annotation.core.statements import run
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.prompts.models import PromptImport
from annotation.prompts.readers.judged import ReadComparison, ReadVerdict, Tiers
from annotation.prompts.readers.rows import Row
from annotation.prompts.readers.unjudged import ReadDemonstration, ReadSignal
from annotation.prompts.services.importing import Stored, Taken

ReadRow = tuple[Spoken[ReadComparison], ...]  # most rows hold one; a tree of messages holds several
Refused = list[tuple[Row, str]]
Ids = tuple[int, ...]  # the candidates of a comparison, sorted
Ranking = list[list[int]]
Verdict = tuple[object, ...]  # all that a judgment says, in the order of SAID
Once = tuple[int, int, bool]  # comparison, labeler, whether it is a repeat: what is judged once


class NewJudgment(NamedTuple):
    """A judgment on its way into the table: its columns."""

    comparison_id: int
    labeler_id: int
    client_uuid: str  # of random digits, as the browser makes one
    ranking: Ranking
    strengths: Sequence[int]
    is_all_bad: bool
    criteria: Mapping[str, Any]  # Any: JSON
    marks: Sequence[Mapping[str, Any]]  # Any: JSON
    rationale: str
    is_repeat: bool
    is_counted: bool
    shown_order: Sequence[int]
    active_ms: int
    imported_guideline_version: int | None
    created_at: datetime

    @property
    def verdict(self) -> Verdict:
        strengths, marks = list(self.strengths), list(self.marks)
        return (self.ranking, strengths, self.criteria, marks, self.rationale)


# What a second verdict may differ in.
SAID = ("ranking", "strengths", "criteria", "marks", "rationale")


class Slots(NamedTuple):
    """How many judgments a new comparison may have, and how many come with it."""

    overlap: int
    kind: str
    state: str
    filled: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparisons that rows speak of, by their candidates: the keys of all, and those not stored yet."""

    keys: Mapping[Ids, int]
    new: Mapping[Ids, Placed[ReadComparison]]

    def known(self) -> list[int]:
        return [key for ids, key in self.keys.items() if ids not in self.new]


@dataclass(slots=True)
class Told:
    """What labelers of a batch said: new judgments, the rows that brought one, the rows that contradict."""

    judgments: list[NewJudgment] = field(default_factory=list)
    rows: int = 0
    contradicting: Refused = field(default_factory=list)


def store_judgments(prompt_import: PromptImport, taken: Sequence[Taken[ReadRow]]) -> Stored:
    """Comparisons that are closed to the queue, and the judgments of the file."""
    project = prompt_import.project
    placed, _, left_out = place(prompt_import, _items(taken))
    compared = _compared(placed)
    verdicts = [verdict for one in placed for verdict in one.item.verdicts]
    labelers = labelers_of(project, {one.labeler: one.labeler_kind for one in verdicts})
    told = _told(placed, compared, labelers)
    counts = Counter([one.comparison_id for one in told.judgments if one.is_counted])

    def slots(ids: Ids) -> Slots:
        """As many as the file has; one at least, where it has repeats alone."""
        count = counts[compared.keys[ids]]
        return Slots(max(count, 1), Comparison.Kind.NORMAL, Comparison.State.JUDGED, filled=count)

    _store_comparisons(project, compared, slots)
    columns = NewJudgment._fields
    copy_rows(Judgment, columns, told.judgments, project_id=project.pk, is_imported=True)
    more = {key: counts[key] for key in compared.known() if key in counts}
    _count(more)
    settle(project, more)
    return Stored(created=told.rows, rejected=told.contradicting, left_out=left_out)


def store_comparisons(
    prompt_import: PromptImport, taken: Sequence[Taken[Spoken[ReadComparison]]]
) -> Stored:
    """Comparisons that labelers judge here, as many of them as the project's overlap says."""
    project, pairing = prompt_import.project, Pairing()
    placed, _, left_out = place(prompt_import, [(one.row, one.item) for one in taken])
    compared = _compared(placed)

    def slots(ids: Ids) -> Slots:
        return Slots(*drawn_overlap(project, ids, pairing), Comparison.State.OPEN)

    _store_comparisons(project, compared, slots)
    return Stored(created=len(compared.new), left_out=left_out)


def store_demonstrations(
    prompt_import: PromptImport, taken: Sequence[Taken[tuple[Spoken[ReadDemonstration], ...]]]
) -> Stored:
    """Responses that people wrote elsewhere: candidates for SFT, without an author here."""
    placed, candidates, left_out = place(
        prompt_import, _items(taken), Candidate.Source.DEMONSTRATION
    )
    new = {candidates.keys[one] for one in candidates.new}
    first = {one.keys[0]: one.row.line for one in reversed(placed) if one.keys[0] in new}
    return Stored(created=len(set(first.values())), left_out=left_out)


def store_signals(
    prompt_import: PromptImport, taken: Sequence[Taken[tuple[Spoken[ReadSignal], ...]]]
) -> Stored:
    """Single responses that were accepted or rejected; who says otherwise than before is refused."""
    project, now = prompt_import.project, timezone.now()
    placed, _, left_out = place(prompt_import, _items(taken))
    labelers = labelers_of(project, {one.item.labeler: "person" for one in placed})
    known = _known_signals({one.keys[0] for one in placed if not one.is_new})
    new, lines = list[tuple[int, int, int, bool, datetime]](), set[int]()
    refused = dict[int, tuple[Row, str]]()
    for one in placed:
        signal, candidate_id, labeler_id = one.item, one.keys[0], labelers[one.item.labeler]
        key = (candidate_id, labeler_id)
        if key not in known:
            told_at = signal.told_at or now
            new.append((one.prompt_id, candidate_id, labeler_id, signal.is_accepted, told_at))
            lines.add(one.row.line)
        if known.setdefault(key, signal.is_accepted) != signal.is_accepted:
            reason = f"{signal.labeler} said the opposite of this response before."
            refused[one.row.line] = (one.row, reason)
    columns = ("prompt_id", "candidate_id", "labeler_id", "is_accepted", "created_at")
    copy_rows(Signal, columns, new, project_id=project.pk)
    created = len(lines - refused.keys())
    return Stored(created=created, rejected=list(refused.values()), left_out=left_out)


def _items(taken: Sequence[Taken[tuple[Spoken[Item], ...]]]) -> list[tuple[Row, Spoken[Item]]]:
    """What the rows hold, one after the other: most hold one, a tree of messages or a group holds several."""
    return [(one.row, item) for one in taken for item in one.item]


def _known_signals(candidate_ids: Collection[int]) -> dict[tuple[int, int], bool]:
    if not candidate_ids:
        return {}
    rows = Signal.objects.filter(candidate__in=candidate_ids)
    facts = rows.values_list("candidate_id", "labeler_id", "is_accepted")
    return {(candidate, labeler): accepted for candidate, labeler, accepted in facts}


def _compared(placed: Sequence[Placed[ReadComparison]]) -> Compared:
    known = _known_comparisons({one.prompt_id for one in placed if not one.is_new})
    new = {one.candidate_ids: one for one in placed if one.candidate_ids not in known}
    keys = dict(zip(new, new_keys(Comparison, len(new)), strict=True))
    wanted = {one.candidate_ids for one in placed}
    return Compared({ids: key for ids, key in known.items() if ids in wanted} | keys, new)


def _known_comparisons(prompt_ids: Collection[int]) -> dict[Ids, int]:
    """Found by prompt alone: with the project named too, stale statistics send the planner through all of it."""
    if not prompt_ids:
        return {}
    statement = """SELECT candidate_ids, id FROM comparisons_comparison
        WHERE prompt_id = ANY(%(prompts)s)"""
    return {tuple(ids): key for ids, key in run(statement, {"prompts": list(prompt_ids)})}


def _store_comparisons(project: Project, compared: Compared, slots: Callable[[Ids], Slots]) -> None:
    """Raises IntegrityError where a candidate that was there has gone: its review was reversed."""
    found = {pk for ids, one in compared.new.items() if not one.is_new for pk in ids}
    if found - held(found):
        raise IntegrityError("A response went while its comparison was about to be stored.")

    def row(ids: Ids, one: Placed[ReadComparison]) -> tuple[Any, ...]:  # Any: columns differ
        key, language = compared.keys[ids], one.item.prompt.language
        overlap, kind, state, filled = slots(ids)
        drawn = one.item.propensity
        return (key, one.prompt_id, ids, language, overlap, kind, state, drawn, filled, filled)

    columns = (
        "id",
        "prompt_id",
        "candidate_ids",
        "language",
        "overlap",
        "kind",
        "state",
        "propensity",
    )
    counted = ("slots_taken", "judgments_counted")
    rows = (row(ids, one) for ids, one in compared.new.items())
    copy_rows(Comparison, (*columns, *counted), rows, project_id=project.pk)


def _told(
    placed: Sequence[Placed[ReadComparison]], compared: Compared, labelers: Mapping[str, int]
) -> Told:
    known = _known_verdicts(compared.known(), labelers.values())
    told, now = Told(), timezone.now()
    for row, group in groupby(placed, key=attrgetter("row")):
        fresh, reasons = dict[Once, NewJudgment](), list[str]()
        for one in group:
            comparison_id = compared.keys[one.candidate_ids]
            for verdict in one.item.verdicts:
                key = (comparison_id, labelers[verdict.labeler], verdict.is_repeat)
                judgment = _judgment(key, verdict, one.keys, now)
                twin = fresh.setdefault(key, judgment)
                if key not in known and twin is judgment:
                    continue
                before = known.get(key, twin.verdict)
                if before != judgment.verdict:
                    reasons.append(_contradiction(verdict.labeler, before, judgment.verdict))
        if reasons:
            told.contradicting.append((row, " ".join(reasons)))
            continue
        new = [each for key, each in fresh.items() if key not in known]
        known.update((key, each.verdict) for key, each in fresh.items())
        told.judgments += new
        told.rows += bool(new)
    return told


def _contradiction(labeler: str, before: Verdict, now: Verdict) -> str:
    others = [name for name, *two in zip(SAID, before, now, strict=True) if two[0] != two[1]]
    return (
        f"{labeler} has judged these responses already, and otherwise (other {', '.join(others)}); "
        "the first judgment is kept. Leave out one of them."
    )


def _known_verdicts(comparisons: Collection[int], labelers: Collection[int]) -> dict[Once, Verdict]:
    if not comparisons:
        return {}
    rows = Judgment.objects.filter(
        comparison_id__in=comparisons, labeler__in=labelers, withdrawn_at=None
    )
    facts = rows.values_list("comparison_id", "labeler_id", "is_repeat", *SAID)
    return {
        (comparison, labeler, again): tuple(said) for comparison, labeler, again, *said in facts
    }


def _ranking(keys: Sequence[int], tiers: Tiers) -> Ranking:
    return [sorted([keys[place] for place in tier]) for tier in tiers]


def _judgment(key: Once, verdict: ReadVerdict, keys: Sequence[int], now: datetime) -> NewJudgment:
    comparison_id, labeler_id, is_repeat = key
    return NewJudgment(
        comparison_id,
        labeler_id,
        is_repeat=is_repeat,
        is_counted=not is_repeat,
        client_uuid=token_hex(16),
        ranking=_ranking(keys, verdict.tiers),
        strengths=verdict.strengths,
        is_all_bad=verdict.is_all_bad,
        criteria={
            name: {"ranking": _ranking(keys, tiers), "strengths": list(strengths)}
            for name, (tiers, strengths) in verdict.criteria.items()
        },
        marks=[
            {
                "candidate": keys[mark["response"]],
                "start": mark["start"],
                "end": mark["end"],
                "kind": mark["kind"],
            }
            for mark in verdict.marks
        ],
        rationale=verdict.rationale,
        shown_order=[keys[place] for place in verdict.shown],
        active_ms=verdict.active_ms,
        imported_guideline_version=verdict.guideline_version,
        created_at=verdict.judged_at or now,
    )


def _count(counts: Mapping[int, int]) -> None:
    """Fill the slots of comparisons that were there; where there are too few, there are as many as judgments now."""
    for count in set(counts.values()):
        keys = [key for key, many in counts.items() if many == count]
        Comparison.objects.filter(pk__in=keys).update(
            overlap=Greatest(F("overlap"), F("slots_taken") + count),
            slots_taken=F("slots_taken") + count,
            judgments_counted=F("judgments_counted") + count,
        )
