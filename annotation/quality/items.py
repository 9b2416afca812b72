"""The items tab: where one more judgment changes most, and what each number of a labeler is made of."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from annotation.comparisons.letters import Said, letters_of, said_on
from annotation.comparisons.marked import Marked, marked_in
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import texts_of
from annotation.core.errors import InvalidInput
from annotation.projects.models import Project
from annotation.projects.selectors import criterion_titles
from annotation.prompts.models import Prompt
from annotation.quality.gains import LISTED, PAGES_MAX, SHOWN, Gains, Ids, foremost, gains_of
from annotation.quality.judged import JudgedPairs, judged_pairs
from annotation.quality.labeler_table import STRONG_CODES
from annotation.quality.report import Data
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments
from annotation.quality.stored import TIE_CODE, Mask, StoredColumns, is_gold, is_repeat
from annotation.quality.tested import no_gold_answers

AT_ONCE = 200  # items in memory, of a table of all


class Aspect(StrEnum):
    """Which judgments of a labeler a number is made of."""

    ALL = "all"
    APART = "apart"  # decided otherwise than most others
    LEFT = "left"
    LONGER = "longer"
    STRONG = "strong"
    TIE = "tie"
    BAD = "bad"
    FAST = "fast"
    GOLD = "gold"
    REPEAT = "repeat"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose items, of which aspect, which page of them; labeler 0 is everybody."""

    labeler: int = 0
    aspect: Aspect = Aspect.ALL
    page: int = 1

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Asked":
        """The checked question of an address; raises InvalidInput naming what is wrong."""
        aspect = query.get("aspect") or Aspect.ALL
        if aspect not in tuple(Aspect):
            raise InvalidInput(f"aspect={aspect[:60]!r} is not one of {', '.join(Aspect)}.")
        return cls(
            labeler=_whole(query, "of", 2**53),
            aspect=Aspect(aspect),
            page=max(_whole(query, "page", PAGES_MAX), 1),
        )


def _whole(query: Mapping[str, str], key: str, high: int) -> int:
    value = query.get(key) or "0"
    if not value.isascii() or not value.isdecimal() or len(value) > 16 or int(value) > high:
        raise InvalidInput(f"{key}={value[:60]!r} is not a whole number from 0 to {high}.")
    return int(value)


class Response(NamedTuple):
    """One response of an item; ``marked`` where labelers marked anything in it."""

    letter: str
    text: str
    marked: Marked | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A comparison with its judgments, and what one more would tell."""

    comparison: Comparison
    prompt: str
    responses: list[Response]
    said: list[Said]
    bits: float | None  # None where no model of the labelers is there


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemList:
    """One page of items; ``new_bits`` is what the first judgment of a new item tells."""

    items: list[Item]
    total: int
    new_bits: float | None
    page: int

    @property
    def next_page(self) -> int | None:
        return self.page + 1 if self.page * SHOWN < self.total and self.page < PAGES_MAX else None


def items_of(project: Project, scope: Scope, asked: Asked, kept: Data | None) -> ItemList:
    """One page of comparisons, the one first where one more judgment tells most.

    ``kept`` is the part of the report on the comparisons of everybody: for them no judgment is read.
    """
    if asked.labeler:
        kept = _of_labeler(project, scope, asked)
    if kept is None:
        return ItemList(items=[], total=0, new_bits=None, page=asked.page)
    told: list[tuple[int, float]] = kept["first"][(asked.page - 1) * SHOWN : asked.page * SHOWN]
    new_bits: float | None = kept["new_bits"]
    return ItemList(
        items=_items(
            project,
            {pk: None if new_bits is None else bits for pk, bits in told},
            criterion=scope.criterion,
        ),
        total=kept["total"],
        new_bits=new_bits,
        page=asked.page,
    )


def every_item(project: Project, scope: Scope, asked: Asked) -> Iterator[Item]:
    """All items, also those beyond the pages, in the order of the pages; a few of them in memory at a time."""
    ids, bits, new_bits = _gains_asked(project, scope, asked)
    places = foremost(ids, bits, at_most=len(ids))
    for start in range(0, len(ids), AT_ONCE):
        some = places[start : start + AT_ONCE]
        told = zip(ids[some].tolist(), bits[some].tolist(), strict=True)
        known = {pk: None if new_bits is None else one for pk, one in told}
        yield from _items(project, known, criterion=scope.criterion)


def _of_labeler(project: Project, scope: Scope, asked: Asked) -> Data:
    """The same of one labeler's comparisons."""
    ids, bits, new_bits = _gains_asked(project, scope, asked)
    places = foremost(ids, bits, at_most=LISTED)
    first = list(zip(ids[places].tolist(), bits[places].tolist(), strict=True))
    return {"first": first, "total": len(ids), "new_bits": new_bits}


def _gains_asked(project: Project, scope: Scope, asked: Asked) -> Gains:
    """The gains of all comparisons; of one labeler's alone, what others said of these is looked at too."""
    scoped = ScopedJudgments(project, scope)
    if not asked.labeler:
        return gains_of(scoped.votes, scoped.known)
    chosen = _chosen(scoped, asked)
    about = np.isin(scoped.votes.pairs["comparison"], chosen)[scoped.votes.pair_codes]
    gains = gains_of(scoped.votes.where(about), scoped.known)
    return Gains(chosen, gains.of(chosen), gains.new)


def _chosen(scoped: ScopedJudgments, asked: Asked) -> Ids:
    """Ids of the labeler's comparisons that the question is about, in order.

    Without a filter on kinds, who asks for one labeler's items means them of whatever kind.
    """
    if asked.aspect is Aspect.SKIPPED:
        return scoped.skipped_by(asked.labeler)
    columns, ids = scoped.columns, scoped.columns.labeler_ids
    own = columns.rows["labeler"] == (ids.index(asked.labeler) if asked.labeler in ids else -1)
    kept = scoped.mask if scoped.scope.labelers else scoped.mask | own & scoped.let_in
    is_met = np.zeros(len(columns.pairs), dtype=bool)
    is_met[columns.rows["pair"][own & kept]] = True
    kept &= is_met[columns.rows["pair"]]  # rows on the pairs that the labeler judged
    if asked.aspect in _TESTED:
        kept &= own & _TESTED[asked.aspect](columns)
        if asked.aspect is Aspect.GOLD:
            kept &= ~np.isin(columns.judgments, no_gold_answers(scoped.project))
        return np.unique(columns.pairs["comparison"][columns.rows["pair"][kept]])
    judged = judged_pairs(columns, kept & scoped.agreement)
    is_own = (judged.labeler_ids == asked.labeler)[judged.labelers]
    found = judged.pair_codes[is_own & _ABOUT[asked.aspect](judged)]
    return np.unique(judged.pairs["comparison"][found])


def _is_left(judged: JudgedPairs) -> Mask:
    return np.asarray(judged.chose_left == 1)


def _is_apart(judged: JudgedPairs) -> Mask:
    """Rows whose verdict is not the strict plurality of the others on the item."""
    said, items = judged.verdicts, judged.items.astype(np.int64)
    votes = np.bincount(items * 4 + said, minlength=judged.item_count * 4).reshape(-1, 4)
    others = votes[items]
    others[np.arange(len(items)), said] -= 1
    most = others.max(axis=1, initial=0)
    is_strict = (others == most[:, None]).sum(axis=1) == 1
    return np.asarray((most > 0) & is_strict & (others.argmax(axis=1) != said))


_TESTED: dict[Aspect, Callable[[StoredColumns], Mask]] = {
    Aspect.GOLD: is_gold,
    Aspect.REPEAT: is_repeat,
}
_ABOUT: dict[Aspect, Callable[[JudgedPairs], Mask]] = {
    Aspect.ALL: lambda judged: np.ones(len(judged), dtype=bool),
    Aspect.APART: _is_apart,
    Aspect.LEFT: _is_left,
    Aspect.LONGER: lambda judged: judged.chose_longer,
    Aspect.STRONG: lambda judged: np.isin(judged.said, STRONG_CODES),
    Aspect.TIE: lambda judged: np.asarray(judged.said == TIE_CODE),
    Aspect.BAD: lambda judged: judged.is_all_bad,
    Aspect.FAST: lambda judged: judged.is_fast,
}


def _items(project: Project, bits: Mapping[int, float | None], *, criterion: str) -> list[Item]:
    ids = list(bits)
    rows = project.comparisons.select_related("prompt").filter(pk__in=ids)
    found = {row.pk: row for row in rows}
    texts = texts_of([pk for row in rows for pk in row.candidate_ids])
    judgments: dict[int, list[Judgment]] = {pk: [] for pk in ids}
    titles = criterion_titles(project.pk)
    given = Judgment.objects.filter(comparison__in=ids, withdrawn_at=None)
    for one in given.select_related("labeler", "guideline").order_by("pk"):
        judgments[one.comparison_id].append(one)
    return [
        _item(
            found[pk],
            said_on(found[pk], judgments[pk], titles=titles, criterion=criterion),
            bits[pk],
            texts,
        )
        for pk in ids
        if pk in found
    ]


def _item(
    comparison: Comparison, said: list[Said], bits: float | None, texts: Mapping[int, str]
) -> Item:
    letters, given = letters_of(comparison.candidate_ids), [one.judgment for one in said]
    return Item(
        comparison=comparison,
        prompt=last_turn(comparison.prompt),
        responses=[
            Response(letter, texts.get(pk, ""), marked_in(pk, texts.get(pk, ""), given))
            for pk, letter in letters.items()
        ],
        said=said,
        bits=bits,
    )


def last_turn(prompt: Prompt) -> str:
    """What the user said last."""
    turns: list[dict[str, Any]] = prompt.turns  # Any: JSON
    return str(turns[-1].get("content", "")) if turns else ""
