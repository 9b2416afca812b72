"""Rankings of three and more as choices between policies: at each place the best of those that remain."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotation.measures.plackett_luce import Choices
from annotation.quality.judged import JudgedPairs
from annotation.quality.stored import SIDES

PAIRS_MIN = 3  # of a ranking of three


class Ranked(NamedTuple):
    """The choices of all rankings, who made each, and how many rankings they come from."""

    choices: Choices
    policies: npt.NDArray[np.int64]  # that any ranking is about; the choices number these from 0
    labelers: npt.NDArray[np.int64]
    rankings: int


class _Ends(NamedTuple):
    """Each pair of a ranking seen from both of its candidates."""

    key: npt.NDArray[np.int64]  # the candidate in the judgment, from 0
    judgment: npt.NDArray[np.int64]
    labeler: npt.NDArray[np.int64]
    policy: npt.NDArray[np.int64]
    other: npt.NDArray[np.int64]  # the policy of the other candidate
    sign: npt.NDArray[np.int64]  # 1 better than the other, 0 tied, -1 worse


def ranked_choices(judged: JudgedPairs, codes: list[int]) -> Ranked | None:
    """Choices between the policies ``codes``; None without a ranking of three or more of them.

    A candidate that stands alone on its place was chosen among itself and those ranked below it. A place
    that several share is no choice; it is left out, as Bradley-Terry leaves out ties.
    """
    ends = _ends(judged, codes)
    size = int(ends.key.max(initial=-1)) + 1
    is_tied = np.bincount(ends.key[ends.sign == 0], minlength=size) > 0
    is_choice = ~is_tied & (np.bincount(ends.key[ends.sign > 0], minlength=size) > 0)
    if not is_choice.any():
        return None
    of_key = np.zeros(size, dtype=np.int64)
    of_key[ends.key] = np.arange(len(ends.key))  # any row of each
    rows = of_key[is_choice]
    beaten = (ends.sign > 0) & is_choice[ends.key]
    members = np.concatenate([ends.policy[rows], ends.other[beaten]])
    policies, members = np.unique(members, return_inverse=True)
    members = members.ravel()
    place = np.cumsum(is_choice) - 1
    at = np.concatenate([np.arange(len(rows)), place[ends.key[beaten]]])
    return Ranked(
        choices=Choices.of(members[: len(rows)], at, members, len(policies)),
        policies=policies,
        labelers=ends.labeler[rows],
        rankings=len(np.unique(ends.judgment[rows])),
    )


def _ends(judged: JudgedPairs, codes: list[int]) -> _Ends:
    """All pairs of a ranking are rows of one judgment, which follow each other."""
    place = np.full(len(judged.sources) + 1, -1, dtype=np.int64)
    place[codes] = np.arange(len(codes))
    judgment = np.cumsum(judged.opens_judgment) - 1
    is_long = np.bincount(judgment, minlength=1) >= PAIRS_MIN
    first, second = (place[judged.of_pairs(f"{side}_source")] for side in SIDES)
    kept = is_long[judgment] & (first >= 0) & (second >= 0) & ~judged.is_all_bad
    first, second = first[kept], second[kept]
    sign = np.sign(judged.strengths[kept]).astype(np.int64)
    judgments = np.tile(judgment[kept], 2)
    candidates = np.concatenate([judged.of_pairs(side)[kept] for side in SIDES])
    low, high = candidates.min(initial=0), candidates.max(initial=0)
    _, key = np.unique(judgments * (high - low + 1) + candidates - low, return_inverse=True)
    return _Ends(
        key=key.ravel(),
        judgment=judgments,
        labeler=np.tile(judged.labelers[kept], 2).astype(np.int64),
        policy=np.concatenate([first, second]),
        other=np.concatenate([second, first]),
        sign=np.concatenate([sign, -sign]),
    )
