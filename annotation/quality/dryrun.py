"""What a rule would have done to all that was judged so far: pure arithmetic on columns and gold answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from annotation.measures.statistic import Statistic, proportion
from annotation.quality.columns import VERDICTS, Ints, PairColumns
from annotation.quality.exclusions import Exclusion, kept

FAST_ANSWERS_MIN = 10  # scored against others, before "wrong when fast" says anything
LEADS = 4  # what `leads` tells apart
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The effects of one rule on history, beside the rules that are on already.

    A verdict leads a pair: one of the responses, or all bad; or it is even, with no response ahead. Of the preferences
    each is in one of kept, flipped, evened, decided, bad and lost, so that these add up.
    """

    judgments: int  # that count now
    judgments_dropped: int = 0
    judgments_added: int = 0  # of a machine judge
    preferences: int  # pairs with a vote now
    preferences_kept: int
    preferences_flipped: int  # the other response leads
    preferences_evened: int  # a response led, and none does
    preferences_decided: int  # none led, and a response does
    preferences_bad: int  # all bad came to lead, or leads no more
    preferences_lost: int  # no vote is left
    preferences_gained: int  # pairs without a vote now
    labelers_left_out: tuple[int, ...] = ()
    labelers_paused: tuple[int, ...] = ()
    machines_counted: tuple[int, ...] = ()

    @property
    def concerned(self) -> tuple[int, ...]:
        """The labelers it is about, by id."""
        return (*self.labelers_left_out, *self.labelers_paused, *self.machines_counted)

    @property
    def flipped_share(self) -> float | None:
        return self.preferences_flipped / self.preferences if self.preferences else None

    @property
    def flipped_percent(self) -> str:
        """With one decimal where it is small: 0.7 %."""
        share = 100 * (self.flipped_share or 0.0)
        return f"{share:.1f} %" if share < 9.95 else f"{share:.0f} %"

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {
            **asdict(self),
            "labelers_left_out": list(self.labelers_left_out),
            "labelers_paused": list(self.labelers_paused),
            "machines_counted": list(self.machines_counted),
        }


def effects_of(
    columns: PairColumns,
    *,
    already: Sequence[Exclusion],
    exclusion: Exclusion | None,
    paused: Sequence[int] = (),
) -> DryRun:
    """Before: history under the rules that are on. After: without what ``exclusion`` leaves out too."""
    before = kept(columns, already)
    drops = np.zeros(len(before), bool) if exclusion is None else exclusion.mask(before)
    found = _effects(before, before.where(~drops))
    return replace(
        found,
        judgments_dropped=len(np.unique(before.judgments[drops])),
        labelers_left_out=() if exclusion is None else exclusion.labelers,
        labelers_paused=tuple(paused),
    )


def effects_of_counting(
    columns: PairColumns, *, already: Sequence[Exclusion], machines: Sequence[int]
) -> DryRun:
    """Before: without the machine judges. After: ``columns``, where they count like people."""
    after = kept(columns, already)
    adds = np.isin(columns.labeler_ids, np.array(machines, dtype=np.int64))[after.labelers]
    return replace(
        _effects(after.where(~adds), after),
        judgments_added=len(np.unique(after.judgments[adds])),
        machines_counted=tuple(machines),
    )


def _effects(before: PairColumns, after: PairColumns) -> DryRun:
    had, has = verdict_counts(before), verdict_counts(after)
    judged, remains = had.sum(axis=1) > 0, has.sum(axis=1) > 0
    both = judged & remains
    changes = np.zeros((LEADS, LEADS), np.int64)
    np.add.at(changes, (leads(had)[both] + 1, leads(has)[both] + 1), 1)
    second, even, first, bad = range(LEADS)  # leads, from -1 on
    return DryRun(
        judgments=len(np.unique(before.judgments)),
        preferences=int(judged.sum()),
        preferences_kept=int(changes.trace()),
        preferences_flipped=int(changes[first, second] + changes[second, first]),
        preferences_evened=int(changes[first, even] + changes[second, even]),
        preferences_decided=int(changes[even, first] + changes[even, second]),
        preferences_bad=int(changes[bad, :bad].sum() + changes[:bad, bad].sum()),
        preferences_lost=int((judged & ~remains).sum()),
        preferences_gained=int((remains & ~judged).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStop:
    """What ending comparisons at so many equal verdicts would have done to those that were given more."""

    agreeing: int
    comparisons: int  # with more judgments than that
    stopped: int  # of these
    judgments: int  # of all comparisons
    judgments_saved: int
    overruled: int  # stopped, where later judgments put another verdict level or ahead

    @property
    def saved_share(self) -> float:
        return self.judgments_saved / self.judgments if self.judgments else 0.0


def early_stop(columns: PairColumns, *, agreeing: int) -> EarlyStop:
    """Whether the first ``agreeing`` verdicts of each comparison were equal, and what came after them."""
    comparisons, signs = _verdicts_in_turn(columns)
    starts = np.flatnonzero(np.diff(comparisons, prepend=-1))
    sizes = np.diff(np.append(starts, len(comparisons)))
    alike = np.add.reduceat((signs == np.repeat(signs[starts], sizes)).astype(np.int64), starts)
    is_longer = sizes > agreeing
    starts, sizes, alike = starts[is_longer], sizes[is_longer], alike[is_longer]
    first = signs[starts[:, None] + np.arange(agreeing)]
    is_stopped = (first == first[:, :1]).all(axis=1)
    is_doubtful = is_stopped & (
        2 * alike <= sizes
    )  # the others are as many, if not yet of one mind
    overruled = sum(
        _is_overruled(signs[start : start + size])
        for start, size in zip(starts[is_doubtful], sizes[is_doubtful], strict=True)
    )
    return EarlyStop(
        agreeing=agreeing,
        comparisons=len(starts),
        stopped=int(is_stopped.sum()),
        judgments=len(comparisons),
        judgments_saved=int((sizes[is_stopped] - agreeing).sum()),
        overruled=overruled,
    )


def _verdicts_in_turn(columns: PairColumns) -> tuple[Ints, Ints]:
    """The comparison of each judgment and a number for its verdict, equal for equal ones; by comparison and time.

    A ranking is as many pairs, so the numbers of its pairs are added, each with a weight of its own.
    """
    weights = np.random.default_rng(0).integers(2**40, size=columns.item_count)
    judgments, opens, codes = np.unique(columns.judgments, return_index=True, return_inverse=True)
    signs = np.zeros(len(judgments), np.int64)
    np.add.at(signs, codes, weights[columns.items] * (columns.verdicts + 1))
    comparisons = columns.comparisons[opens]
    in_turn = np.lexsort((judgments, comparisons))
    return comparisons[in_turn], signs[in_turn]


def _is_overruled(signs: Ints) -> bool:
    """Whether a verdict beside the first has as many votes as it."""
    votes = np.unique(signs[signs != signs[0]], return_counts=True)[1]
    return bool(max(votes, default=0) >= (signs == signs[0]).sum())


def verdict_counts(columns: PairColumns) -> Counts:
    """Votes by pair and verdict, [pairs, 4] (`columns.VERDICTS`)."""
    width = len(VERDICTS)
    codes = columns.items * width + columns.verdicts
    found = np.bincount(codes, minlength=columns.item_count * width)
    return found.reshape(columns.item_count, width)


def leads(counts: Counts) -> Ints:
    """What most say: 1 the first, -1 the second, 0 neither (as many of both, or a tie), 2 all bad."""
    first, tied, second, bad = counts.T
    is_tie = (first == second) | (tied >= np.maximum(first, second))
    side = np.where(is_tie, 0, np.where(first > second, 1, -1))
    return np.where(bad > first + tied + second, 2, side)


def accuracy_when_fast(columns: PairColumns, *, faster_than_ms: int) -> dict[int, Statistic]:
    """By labeler id: how often fast answers equal the verdict of most of the others; those who have enough."""
    is_fast = (columns.active_ms > 0) & (columns.active_ms < faster_than_ms)
    if not is_fast.any():
        return {}
    counts, fast = verdict_counts(columns), columns.where(is_fast)
    others = counts[fast.items]
    rows = np.arange(len(fast))
    others[rows, fast.verdicts] -= 1
    most = others.max(axis=1)
    decided = (most > 0) & ((others == most[:, None]).sum(axis=1) == 1)
    right = decided & (others.argmax(axis=1) == fast.verdicts)
    people = len(columns.labeler_ids)
    scored = np.bincount(fast.labelers, weights=decided, minlength=people).astype(int)
    hits = np.bincount(fast.labelers, weights=right, minlength=people).astype(int)
    return {
        int(columns.labeler_ids[one]): proportion(int(hits[one]), n=int(scored[one]), nothing="")
        for one in np.flatnonzero(scored >= FAST_ANSWERS_MIN)
    }


def wrong_when_fast(
    columns: PairColumns, *, faster_than_ms: int, accuracy_below: float
) -> tuple[int, ...]:
    """Labelers whose fast answers are surely (95 %) right less often than that."""
    found = accuracy_when_fast(columns, faster_than_ms=faster_than_ms)
    return tuple(sorted(pk for pk, one in found.items() if is_below(one, accuracy_below)))


def is_below(one: Statistic, minimum: float) -> bool:
    """Whether even the upper end of the interval lies below."""
    return one.interval is not None and one.interval.high < minimum


def failed_too_often(answers: Sequence[bool], *, failed: int, of_last: int) -> bool:
    """Whether at least ``failed`` of the last ``of_last`` gold answers are wrong."""
    return sum(not right for right in answers[-of_last:]) >= failed
