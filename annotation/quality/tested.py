"""What labelers are tested by: comparisons with a known answer, and those that they judge twice."""

from typing import Any

import numpy as np
from django.db.models import F, Q

from annotation.comparisons.gold import CLOSE, known_tiers
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import tier_levels
from annotation.projects.models import Project
from annotation.quality.judged import JudgedPairs, judged_pairs
from annotation.quality.labeler_table import Tests
from annotation.quality.stored import SIDES, Mask, StoredColumns, is_gold, is_imported, is_repeat


def tests_of(project: Project, columns: StoredColumns, mask: Mask) -> Tests:
    """Gold and repeats of each labeler, as (right, shown) and (same, flipped, shown)."""
    gold = mask & is_gold(columns) & ~is_repeat(columns)
    if gold.any():
        gold &= ~is_imported(columns)
        gold &= ~np.isin(columns.judgments, no_gold_answers(project))
    again = mask & is_repeat(columns)
    return Tests(
        gold=_gold_of(project, judged_pairs(columns, gold, by_version=False)) if gold.any() else {},
        repeats=_repeats_of(columns, again) if again.any() else {},
    )


def no_gold_answers(project: Project) -> list[int]:
    """Judgments on gold that test nobody: given before it became gold, or on gold that was retired."""
    on_gold = Judgment.objects.filter(project=project, comparison__gold__project=project)
    before = Q(created_at__lt=F("comparison__gold__created_at"))
    retired = Q(comparison__gold__retired_at__isnull=False)
    return list(on_gold.filter(before | retired).values_list("pk", flat=True))


def _gold_of(project: Project, judged: JudgedPairs) -> dict[int, tuple[int, int]]:
    """An answer is right as `comparisons.gold.is_right` has it: the known order, or about the same, in every pair."""
    known = _known_signs(project, judged)
    told = known[judged.pair_codes]
    signs = np.where(
        told == 0, np.abs(judged.strengths) <= CLOSE, np.sign(judged.strengths) == told
    )
    is_right = np.where(told == KNOWN_BAD, judged.is_all_bad, signs & ~judged.is_all_bad)
    answers = np.cumsum(judged.opens_judgment) - 1
    wrong = np.bincount(answers, weights=~is_right | (told == UNTOLD))
    labelers = judged.labelers[judged.opens_judgment]
    people = len(judged.labeler_ids)
    shown = np.bincount(labelers, minlength=people)
    right = np.bincount(labelers[wrong == 0], minlength=people)
    return {
        int(pk): (int(hits), int(n))
        for pk, hits, n in zip(judged.labeler_ids, right, shown, strict=True)
    }


KNOWN_BAD, UNTOLD = 8, 9


def _known_signs(project: Project, judged: JudgedPairs) -> "np.ndarray[Any, np.dtype[np.int8]]":
    """By pair code: 1 the first is better, -1 the second, 0 a tie, KNOWN_BAD, or UNTOLD."""
    signs = np.full(len(judged.pairs), UNTOLD, dtype=np.int8)
    codes = np.unique(judged.pair_codes)
    ids = np.unique(judged.pairs["comparison"][codes]).tolist()
    rows = Comparison.objects.filter(project=project, pk__in=ids).exclude(known_ranking=None)
    known = {row.pk: known_tiers(row) for row in rows.only("known_ranking")}
    levels = {
        pk: tier_levels(tiers, [1] * (len(tiers) - 1)) for pk, tiers in known.items() if tiers
    }
    for code in codes.tolist():
        comparison = int(judged.pairs["comparison"][code])
        if comparison in levels:
            level = levels[comparison]
            first, second = (level[int(judged.pairs[side][code])] for side in SIDES)
            signs[code] = np.sign(first - second)
        elif comparison in known:
            signs[code] = KNOWN_BAD
    return signs


def _repeats_of(columns: StoredColumns, again: Mask) -> dict[int, tuple[int, int, int]]:
    """Each repeat beside the same labeler's first answer: said the same, or chose the same side."""
    judged = judged_pairs(columns, ~is_repeat(columns), by_version=False)
    second = judged_pairs(columns, again, by_version=False)
    wide = int(max(columns.labeler_ids, default=0)) + 1
    keys = judged.pair_codes * wide + judged.labeler_ids[judged.labelers]
    asked = second.pair_codes * wide + second.labeler_ids[second.labelers]
    order = np.argsort(keys)
    places = np.minimum(np.searchsorted(keys, asked, sorter=order), max(len(keys) - 1, 0))
    at = order[places]
    found = keys[at] == asked
    same = found & (np.sign(judged.strengths[at]) == np.sign(second.strengths))
    same &= judged.is_all_bad[at] == second.is_all_bad
    sides = judged.chose_left[at]
    flipped = found & (sides >= 0) & (sides == second.chose_left) & ~same
    people = len(second.labeler_ids)
    counts = [
        np.bincount(second.labelers[kept], minlength=people) for kept in (same, flipped, found)
    ]
    return {
        int(pk): (int(counts[0][code]), int(counts[1][code]), int(counts[2][code]))
        for code, pk in enumerate(second.labeler_ids)
    }
