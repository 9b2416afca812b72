"""The judgments that a view looks at, as small arrays that the measures take as they are.

An item is a pair of a comparison under one version of the guideline: judgments under two versions
are not compared with each other. Gold and repeats are no part of it, and what was given on selected
comparisons is apart: those asked again for what was said of them, and those drawn by what a verdict tells.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from annotation.measures.table import RatingTable
from annotation.quality import stored
from annotation.quality.columns import ALL_BAD, STRENGTHS, VERDICTS, PairColumns
from annotation.quality.stored import Fields, Mask, StoredColumns
from annotation.quality.truth import DECISIONS

# Numpy looks up and counts by these several times as fast as by smaller ones.
Places = npt.NDArray[np.intp]
Codes = npt.NDArray[np.integer[Any]]  # Any: as small as the values allow
LEFT_AND_SAID = 5  # low bits of the byte ``said``: who stood left, and what was said
ITEMS_ADDRESSED = 50_000_000  # beyond, sort instead of address
CHARACTERS_A_SECOND = 60  # about 700 words a minute, both responses


@dataclass(frozen=True, eq=False)
class Told:
    """Judged pairs by labeler, by who is longer (second, neither, first), by who stood left, by what was said."""

    table: npt.NDArray[np.int64]  # labelers x 3 x 4 x 8

    def said(self, *codes: int) -> npt.NDArray[np.int64]:
        """How often each labeler said one of these."""
        return np.asarray(self.table[..., list(codes)].sum(axis=(1, 2, 3)))

    @cached_property
    def _decided(self) -> npt.NDArray[np.int64]:
        """Labelers x who is longer x who stood left x (second, first): decided for it."""
        return np.stack([self.table[..., :3].sum(axis=3), self.table[..., 4:7].sum(axis=3)], axis=3)

    @property
    def placed(self) -> npt.NDArray[np.int64]:
        """Decided, with the order known."""
        sides = [stored.RIGHT_CODE, stored.LEFT_CODE]
        return np.asarray(self._decided[:, :, sides].sum(axis=(1, 2, 3)))

    @property
    def left(self) -> npt.NDArray[np.int64]:
        """Decided for the response on the left."""
        decided = self._decided.sum(axis=1)
        return np.asarray(decided[:, stored.RIGHT_CODE, 0] + decided[:, stored.LEFT_CODE, 1])

    @property
    def unequal(self) -> npt.NDArray[np.int64]:
        """Decided between unequal lengths."""
        return np.asarray(self._decided[:, [0, 2]].sum(axis=(1, 2, 3)))

    @property
    def longer(self) -> npt.NDArray[np.int64]:
        """Decided for the longer response."""
        decided = self._decided.sum(axis=2)
        return np.asarray(decided[:, 0, 0] + decided[:, 2, 1])


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPairs:
    """One row a judged pair; ``items`` and ``labelers`` are codes from 0 without gaps."""

    rows: Fields
    judgments: npt.NDArray[np.int64]
    pairs: Fields  # all pairs of the project, by code
    items: Places
    item_pairs: npt.NDArray[np.int64]  # the pair of each item
    item_guidelines: npt.NDArray[np.int64]  # the code of its guideline version
    labelers: Places
    labeler_ids: npt.NDArray[np.int64]
    guideline_ids: tuple[int, ...]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def item_count(self) -> int:
        return len(self.item_pairs)

    @property
    def comparison_count(self) -> int:
        """The pairs of a comparison have codes in a row, so its items follow each other."""
        ids = self.pairs["comparison"][self.item_pairs]
        return int(len(ids) > 0) + int((ids[1:] != ids[:-1]).sum())

    @cached_property
    def said(self) -> npt.NDArray[np.int8]:
        """0 to 6 for the strengths, 7 for all bad."""
        return (self.rows["said"] & stored.STRENGTH).astype(np.int8)

    @cached_property
    def is_all_bad(self) -> Mask:
        return np.asarray(self.said == stored.ALL_BAD_CODE)

    @cached_property
    def strengths(self) -> npt.NDArray[np.int8]:
        """-3 second much better ... 3 first much better; 0 where all are bad."""
        return _STRENGTH_OF[self.said.astype(np.intp)]

    @cached_property
    def verdicts(self) -> npt.NDArray[np.int8]:
        """Codes into VERDICTS."""
        return _VERDICT_OF[self.said.astype(np.intp)]

    @cached_property
    def left(self) -> npt.NDArray[np.int8]:
        """1 the first stood left, 0 right, 2 not known."""
        return (self.rows["said"] >> stored.LEFT_SHIFT & stored.LEFT).astype(np.int8)

    @cached_property
    def pair_codes(self) -> npt.NDArray[np.int64]:
        return self.rows["pair"].astype(np.int64)

    def of_pairs(self, name: str) -> npt.NDArray[Any]:  # Any: as the field has it
        """One field of the pair of each row."""
        return np.asarray(self.pairs[name][self.pair_codes])

    @cached_property
    def chose_left(self) -> npt.NDArray[np.int8]:
        """1 the left response won, 0 the right, -1 undecided or not known."""
        return _CHOSE_LEFT[self.said, self.left]

    @cached_property
    def chose_longer(self) -> Mask:
        """Decided for the longer response."""
        gap = np.sign(self.pairs["first_length"] - self.pairs["second_length"])
        return np.asarray(gap[self.pair_codes] * self.strengths > 0)

    @cached_property
    def is_fast(self) -> Mask:
        """Both responses read at more characters a second than people read; False where no time is known."""
        tenths = self.rows["active"]  # of a second
        needed = (
            (self.pairs["first_length"] + self.pairs["second_length"]) * 10 / CHARACTERS_A_SECOND
        )
        return np.asarray((tenths > 0) & (tenths < needed[self.pair_codes]))

    @cached_property
    def told(self) -> "Told":
        """What each labeler said, all rows counted in one pass."""
        gap = np.sign(self.pairs["first_length"] - self.pairs["second_length"]).astype(np.int64)
        keys = (gap + 1)[self.pair_codes]
        keys += self.labelers * 3
        keys <<= LEFT_AND_SAID
        keys += self.rows["said"] & (2**LEFT_AND_SAID - 1)
        people = len(self.labeler_ids)
        table = np.bincount(keys, minlength=people * 3 << LEFT_AND_SAID)
        return Told(table.reshape(people, 3, 4, 8))

    @cached_property
    def opens_judgment(self) -> Mask:
        """The first pair of each judgment: a ranking of K gives several."""
        return stored.opening(self.judgments)

    def where(self, kept: Mask) -> "JudgedPairs":
        """The same on some of the rows, its items and labelers coded anew."""
        return _judged(
            self.rows.where(kept),
            self.judgments[kept],
            self.pairs,
            self.labelers[kept],
            self.labeler_ids,
            self.guideline_ids,
            self.sources,
        )

    def without(self, labeler_ids: Iterable[int]) -> "JudgedPairs":
        """What the others judged."""
        is_left_out = np.isin(self.labeler_ids, np.fromiter(labeler_ids, dtype=np.int64))
        return self.where(~is_left_out[self.labelers]) if is_left_out.any() else self

    def verdict_table(self) -> RatingTable:
        return RatingTable.from_columns(self.items, self.labelers, self.verdicts, VERDICTS)

    def strength_table(self) -> RatingTable:
        """Strengths on the seven steps; pairs that are all bad have none."""
        kept = ~self.is_all_bad
        codes = (self.items, self.labelers, self.said)
        if not kept.all():
            codes = (self.items[kept], self.labelers[kept], self.said[kept])
        return RatingTable.from_columns(*codes, STRENGTHS)

    def decision_table(self) -> RatingTable:
        """First, tie or second; all bad is no vote for any of them."""
        kept = ~self.is_all_bad
        return RatingTable.from_columns(
            self.items[kept], self.labelers[kept], self.verdicts[kept], DECISIONS
        )


_STRENGTH_OF = np.array([-3, -2, -1, 0, 1, 2, 3, 0], dtype=np.int8)
_VERDICT_OF = np.array([2, 2, 2, 1, 0, 0, 0, ALL_BAD], dtype=np.int8)
VERDICT_CODES = tuple(_VERDICT_OF.tolist())  # by what was said: the code of the verdict
STRENGTH_CODES = (0, 1, 2, 3, 4, 5, 6, -1)  # and of the strength; all bad has none
_CHOSE_LEFT = np.full((8, 4), -1, dtype=np.int8)
_CHOSE_LEFT[:3, stored.LEFT_CODE], _CHOSE_LEFT[:3, stored.RIGHT_CODE] = 0, 1
_CHOSE_LEFT[4:7, stored.LEFT_CODE], _CHOSE_LEFT[4:7, stored.RIGHT_CODE] = 1, 0


def judged_pairs(columns: StoredColumns, kept: Mask, *, by_version: bool = True) -> JudgedPairs:
    """The chosen rows of the stored columns; without ``by_version`` an item is a pair, whatever the guideline."""
    rows, judgments = columns.rows, columns.judgments
    if not kept.all():
        rows, judgments = rows.where(kept), judgments[kept]
    return _judged(
        rows,
        judgments,
        columns.pairs,
        rows["labeler"].astype(np.intp),
        np.array(columns.labeler_ids, dtype=np.int64),
        columns.guideline_ids if by_version else (),
        columns.sources,
    )


def votes_mask(columns: StoredColumns) -> Mask:
    """What decides a comparison: normal and overlap ones; gold and repeats are apart."""
    return ~stored.is_gold(columns) & ~stored.is_repeat(columns)


def is_selected(columns: StoredColumns) -> Mask:
    """Given on a comparison that was chosen to be asked again for its votes, or drawn by what a verdict tells."""
    return stored.is_asked_again(columns) | stored.is_drawn(columns)


def agreement_mask(columns: StoredColumns) -> Mask:
    """What agreement looks at: the votes without those on selected comparisons."""
    return votes_mask(columns) & ~is_selected(columns)


def ranking_mask(columns: StoredColumns) -> Mask:
    """What policies are ranked by: the votes without those on what was asked again for its votes.

    What was drawn stays: its draw chose two policies by no verdict on the responses that they are compared on.
    """
    return votes_mask(columns) & ~stored.is_asked_again(columns)


class VoteCounts(NamedTuple):
    """Judgments that are votes: on selected comparisons (drawn and asked again is drawn), and those given here."""

    asked_again: int = 0
    drawn: int = 0
    given_here: int = 0  # all but imported ones


def count_votes(columns: StoredColumns, kept: Mask) -> VoteCounts:
    """How many judgments of the kept rows are votes of each sort."""
    votes, drawn = kept & votes_mask(columns), stored.is_drawn(columns)
    again = votes & stored.is_asked_again(columns) & ~drawn
    sorts = (again, votes & drawn, votes & ~stored.is_imported(columns))
    return VoteCounts(*(int(stored.first_of_each(columns, sort).sum()) for sort in sorts))


def given_here(columns: StoredColumns, kept: Mask) -> dict[int, int]:
    """How many votes of the kept rows each labeler gave here, by id."""
    votes = kept & votes_mask(columns) & ~stored.is_imported(columns)
    codes, counted = columns.rows["labeler"], stored.first_of_each(columns, votes)
    found = np.bincount(codes, weights=counted, minlength=len(columns.labeler_ids))
    return dict(zip(columns.labeler_ids, found.astype(np.int64).tolist(), strict=True))


def _judged(
    rows: Fields,
    judgments: npt.NDArray[np.int64],
    pairs: Fields,
    labelers: Places,
    labeler_ids: npt.NDArray[np.int64],  # by those codes
    guideline_ids: tuple[int, ...],
    sources: tuple[str, ...],
) -> JudgedPairs:
    versions = max(len(guideline_ids), 1)
    keys = rows["pair"].astype(np.int64)
    if versions > 1:
        keys = keys * versions + rows["guideline"]
    items, met = _without_gaps(keys, len(pairs) * versions)
    order = np.argsort(labeler_ids)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    labelers, present = _without_gaps(place[labelers], len(order))
    return JudgedPairs(
        rows=rows,
        judgments=judgments,
        pairs=pairs,
        items=items,
        item_pairs=met // versions,
        item_guidelines=met % versions,
        labelers=labelers,
        labeler_ids=labeler_ids[order[present]],
        guideline_ids=guideline_ids,
        sources=sources,
    )


def _without_gaps(keys: npt.NDArray[np.int64], size: int) -> tuple[Places, npt.NDArray[np.int64]]:
    """Codes from 0 in the order of the keys, and the key of each code."""
    if size > ITEMS_ADDRESSED:
        met, codes = np.unique(keys, return_inverse=True)
        return codes, met
    is_met = np.zeros(size, dtype=bool)
    is_met[keys] = True
    if is_met.all():
        return keys, np.arange(size)
    return (np.cumsum(is_met) - 1)[keys], np.flatnonzero(is_met)


def dense(ids: npt.NDArray[np.int64]) -> tuple[Places, npt.NDArray[np.int64]]:
    """Codes from 0 of ids (labelers, prompts), ids in order; they are mostly small."""
    top = int(ids.max(initial=0)) + 1
    if top <= max(ITEMS_ADDRESSED // 10, len(ids)):
        return _without_gaps(ids, top)
    met, codes = np.unique(ids, return_inverse=True)
    return codes, met


def wide_columns(judged: JudgedPairs) -> PairColumns:
    """The same as 64-bit columns."""
    versions = np.array([*judged.guideline_ids, 0], dtype=np.int64)
    guidelines = versions[judged.rows["guideline"]] if judged.guideline_ids else None
    return PairColumns(
        judgments=judged.judgments,
        comparisons=judged.of_pairs("comparison"),
        items=judged.items,
        labelers=judged.labelers,
        strengths=judged.strengths.astype(np.int64),
        is_all_bad=judged.is_all_bad,
        shown_left=np.where(judged.left == stored.PLACE_UNKNOWN, -1, judged.left).astype(np.int64),
        active_ms=judged.rows["active"].astype(np.int64) * 100,
        given_at=judged.rows["given_at"].astype(np.int64),
        guidelines=np.full(len(judged), -1) if guidelines is None else guidelines,
        first_ids=judged.of_pairs("first"),
        second_ids=judged.of_pairs("second"),
        labeler_ids=judged.labeler_ids,
        item_count=judged.item_count,
    )
