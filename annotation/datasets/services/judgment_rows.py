"""Judgments as rows, one a vote or one a comparison, in the shapes that importers read: nothing that was said is lost.

Rows name responses by their place in ``responses``, sorted by text and model, so that the same content gives the same
row wherever it lies. A labeler appears under a pseudonym of the project.
"""

import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from string import ascii_lowercase
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Func, IntegerField, Max, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.functional import cached_property  # that of functools takes a lock

from annotation.comparisons.models import Comparison, Judgment
from annotation.core.statements import run
from annotation.core.text import fingerprint
from annotation.projects.models import Project
from annotation.prompts.readers.chats import CHAT_TEXT, is_transcript

Row = dict[str, Any]  # Any: JSON values
AT_ONCE = 500  # judgments held at a time
PSEUDONYM = re.compile(r"labeler-[0-9a-f]{12}")
FACTS = ("external_id", "category", "tags", "language", "source", "license")


@dataclass(frozen=True, eq=False)
class Item:
    """A comparison as rows tell it: its prompt with facts, its responses in the order of their texts."""

    turns: list[dict[str, str]]
    facts: Row
    keys: tuple[int, ...]
    responses: list[Row]

    @cached_property
    def places(self) -> dict[int, int]:
        return {key: place for place, key in enumerate(self.keys)}

    @cached_property
    def name(self) -> str:
        """The same wherever the same responses answer the same prompt."""
        said = [f"{turn['role']}: {turn['content']}" for turn in self.turns]
        said += [f"{one['model']}: {one['text']}" for one in self.responses]
        return fingerprint(said)[:16]

    @cached_property
    def prompt_text(self) -> str:
        """The prompt in one cell: its text, or its turns as JSON where the text alone would be read otherwise."""
        text = self.turns[0]["content"]
        is_plain = len(self.turns) == 1 and not (CHAT_TEXT.match(text) or is_transcript(text))
        return text if is_plain else _encode(self.turns)

    @cached_property
    def cells(self) -> Row:
        """What each vote's line of a flat table begins with."""
        shown = list(zip(ascii_lowercase, self.responses, strict=False))
        return {
            "item": self.name,
            **self.facts,
            "tags": _cell(self.facts.get("tags")),
            "prompt": self.prompt_text,
            **{f"response_{letter}": one["text"] for letter, one in shown},
            **{f"model_{letter}": one["model"] for letter, one in shown},
            **{f"is_finished_{letter}": _cell(one["is_finished"]) for letter, one in shown},
        }


class Vote(NamedTuple):
    """One judgment with places for keys."""

    item: Item
    labeler: str
    labeler_kind: str
    ranking: list[list[int]]
    strengths: list[int]
    is_all_bad: bool
    criteria: Row
    marks: list[Row]
    rationale: str
    shown: list[int]
    judged_at: datetime
    active_ms: int
    guideline_version: int | None
    is_repeat: bool
    propensity: float | None


_COLUMNS = (
    "comparison_id",
    "comparison__candidate_ids",
    "comparison__prompt_id",
    "labeler_id",
    "labeler__kind",
    "labeler__first_name",
    "is_imported",
    "ranking_json",
    "strengths_json",
    "is_all_bad",
    "criteria_json",
    "marks_json",
    "rationale",
    "shown_order",
    "created_text",
    "active_ms",
    "guideline__version",
    "imported_guideline_version",
    "is_repeat",
    "comparison__propensity",
)


_AS_TEXT = {f"{name}_json": Cast(name, TextField()) for name in ("ranking", "strengths")}
_AS_TEXT |= {f"{name}_json": Cast(name, TextField()) for name in ("criteria", "marks")}
_AS_TEXT |= {"created_text": Cast("created_at", TextField())}
_raw_decode = json.JSONDecoder().raw_decode
_encode = json.JSONEncoder(ensure_ascii=False).encode


def votes_of(project: Project, judgments: QuerySet[Judgment]) -> Iterator[Vote]:
    """The votes by comparison; a few hundred judgments and their texts in memory at a time.

    What is JSON comes as text: most of it is short or empty, and Django's way with it takes half of the time.
    So do times, which the driver and Django would each put together in Python.
    """
    ordered = judgments.order_by("comparison_id", "pk").annotate(**_AS_TEXT)
    rows = ordered.values_list(*_COLUMNS)
    stream = rows.iterator(chunk_size=AT_ONCE)
    names: dict[int, str] = {}
    while batch := list(islice(stream, AT_ONCE)):
        items = _items({(row[0], row[2]): row[1] for row in batch})
        for row in batch:
            yield _vote(project, row, items[row[0]], names)


_PROMPTS = f"SELECT id, turns, {', '.join(FACTS)} FROM prompts_prompt WHERE id = ANY(%(keys)s)"  # noqa: S608 - our own names
_RESPONSES = """
SELECT candidate.id, candidate.text, candidate.source_name, version.name, candidate.is_finished
FROM generation_candidate candidate LEFT JOIN registry_modelversion version ON version.id = candidate.policy_id
WHERE candidate.id = ANY(%(keys)s)
"""


def _items(wanted: Mapping[tuple[int, int], Sequence[int]]) -> dict[int, Item]:
    prompts = {
        pk: (_decoded(turns), facts)
        for pk, turns, *facts in run(_PROMPTS, {"keys": list({prompt for _, prompt in wanted})})
    }
    keys = list({key for ids in wanted.values() for key in ids})
    responses = {
        pk: {"text": text, "model": policy or source_name, "is_finished": is_finished}
        for pk, text, source_name, policy, is_finished in run(_RESPONSES, {"keys": keys})
    }
    return {
        comparison: _item(prompts[prompt], ids, responses)
        for (comparison, prompt), ids in wanted.items()
    }


def _item(prompt: tuple[Any, Any], ids: Sequence[int], responses: Mapping[int, Row]) -> Item:
    ordered = sorted(ids, key=lambda key: (responses[key]["text"], responses[key]["model"], key))
    external_id, *facts = prompt[1]
    told = {"id": external_id, **dict(zip(FACTS[1:], facts, strict=True))}
    return Item(
        turns=prompt[0],
        facts={name: value for name, value in told.items() if value},
        keys=tuple(ordered),
        responses=[responses[key] for key in ordered],
    )


def _vote(project: Project, row: tuple[Any, ...], item: Item, names: dict[int, str]) -> Vote:
    labeler_id, kind, first_name, is_imported = row[3:7]
    ranking, strengths, is_all_bad, criteria, marks, rationale, shown = row[7:14]
    judged_at, active_ms, version, imported_version, is_repeat, propensity = row[14:]
    if labeler_id not in names:
        names[labeler_id] = pseudonym(project, labeler_id, first_name if is_imported else "")
    places = item.places
    return Vote(
        item=item,
        labeler=names[labeler_id],
        labeler_kind=kind,
        ranking=_placed(_decoded(ranking), places),
        strengths=_decoded(strengths),
        is_all_bad=is_all_bad,
        criteria={
            name: {**said, "ranking": _placed(said["ranking"], places)}
            for name, said in ({} if criteria == "{}" else _decoded(criteria)).items()
        },
        marks=[_mark(one, places) for one in ([] if marks == "[]" else _decoded(marks))],
        rationale=rationale,
        shown=[places[key] for key in shown],
        judged_at=datetime.fromisoformat(judged_at),
        active_ms=active_ms,
        guideline_version=version or imported_version,
        is_repeat=is_repeat,
        propensity=propensity,
    )


def _decoded(text: str) -> Any:  # Any: JSON
    return _raw_decode(text)[0]


def _placed(ranking: list[list[int]], places: Mapping[int, int]) -> list[list[int]]:
    return [sorted([places[key] for key in tier]) for tier in ranking]


def _mark(mark: Row, places: Mapping[int, int]) -> Row:
    told = {name: value for name, value in mark.items() if name != "candidate"}
    return {"response": places[mark["candidate"]], **told}


def pseudonym(project: Project, labeler_id: int, imported_name: str = "") -> str:
    """What a labeler is called outside: the same in every export of the project, and nothing to trace.

    One that an imported file brought under such a name keeps it.
    """
    if PSEUDONYM.fullmatch(imported_name):
        return imported_name
    words = f"labeler {project.pk} {labeler_id}".encode()
    return "labeler-" + hmac.digest(settings.SECRET_KEY.encode(), words, "sha256").hex()[:12]


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def vote_rows(votes: Iterator[Vote]) -> Iterator[Row]:
    """Every vote with all that is known of it."""
    for vote in votes:
        yield {
            **vote.item.facts,
            "prompt": vote.item.turns,
            "responses": vote.item.responses,
            "ranking": vote.ranking,
            "strengths": vote.strengths,
            "is_all_bad": vote.is_all_bad,
            **_details(vote),
            **_origin(vote),
            "is_repeat": vote.is_repeat,
            "propensity": vote.propensity,
        }


def _details(vote: Vote) -> Row:
    return {
        "criteria": vote.criteria,
        "marks": vote.marks,
        "rationale": vote.rationale,
        "shown_order": vote.shown,
    }


def _origin(vote: Vote) -> Row:
    return {
        "labeler": vote.labeler,
        "labeler_kind": vote.labeler_kind,
        "judged_at": moment_text(vote.judged_at),
        "active_ms": vote.active_ms,
        "guideline_version": vote.guideline_version,
    }


def ranking_rows(votes: Iterator[Vote]) -> Iterator[Row]:
    """Every vote as a group of ranked responses: rank 1 is best, equal ranks are a tie, none where all are bad."""
    for vote in votes:
        ranks = {place: rank for rank, tier in enumerate(vote.ranking, 1) for place in tier}
        yield {
            **vote.item.facts,
            "prompt": vote.item.turns,
            "responses": [
                {**one, "rank": ranks.get(place)} for place, one in enumerate(vote.item.responses)
            ],
            "strengths": vote.strengths,
            "is_all_bad": vote.is_all_bad,
            **_details(vote),
            **_origin(vote),
            "propensity": vote.propensity,
        }


def label_rows(votes: Iterator[Vote]) -> Iterator[Row]:
    """Every vote as a line of a flat table: item, labeler, label; lists and objects as JSON."""
    for vote in votes:
        yield {
            **vote.item.cells,
            "label": _label(vote),
            "strengths": str(vote.strengths),  # as JSON, and faster; the order shown likewise
            "criteria": _cell(vote.criteria),
            "marks": _cell(vote.marks),
            "rationale": vote.rationale,
            "shown_order": str(vote.shown) if vote.shown else "",
            **_origin(vote),
            "propensity": vote.propensity,
        }


def _cell(value: object) -> str:
    """As JSON in a cell; an empty one where there is nothing."""
    return _encode(value) if value or value is False else ""


def _label(vote: Vote) -> str:
    """``a``, ``b``, ``tie``, ``all_bad``; the order of more than two as ``b>a=c``."""
    if vote.is_all_bad:
        return "all_bad"
    if len(vote.ranking) == 1:
        return "tie"
    if len(vote.item.keys) == 2:
        return ascii_lowercase[vote.ranking[0][0]]
    tiers = ("=".join(ascii_lowercase[place] for place in tier) for tier in vote.ranking)
    return ">".join(tiers)


def label_columns(judgments: QuerySet[Judgment]) -> list[str]:
    """The columns of the flat table: as many responses as the largest comparison has."""
    comparisons = Comparison.objects.filter(pk__in=judgments.values("comparison_id"))
    size = Func("candidate_ids", function="cardinality", output_field=IntegerField())
    letters = ascii_lowercase[: comparisons.aggregate(most=Max(size))["most"] or 2]
    facts = ["id", *FACTS[1:]]
    responses = [f"response_{letter}" for letter in letters]
    about = [f"{name}_{letter}" for name in ("model", "is_finished") for letter in letters]
    said = ["label", "strengths", "criteria", "marks", "rationale", "shown_order"]
    origin = ["labeler", "labeler_kind", "judged_at", "active_ms", "guideline_version"]
    origin += ["propensity"]
    return ["item", *facts, "prompt", *responses, *about, *said, *origin]
