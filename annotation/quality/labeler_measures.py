"""The measures of one labeler for admins: those of the table of labelers, under the same filters."""

from typing import NamedTuple

from annotation.core.csv_tables import Row
from annotation.measures.statistic import missing, proportion
from annotation.projects.models import Project
from annotation.quality.items import Aspect
from annotation.quality.labeler_table import labelers_part
from annotation.quality.numbers import LabelerNumbers, reported
from annotation.quality.report import Data
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments
from annotation.quality.skipped import (
    Skips,
    named_reasons,
    skips_of,
    standing_skips,
    votes_given,
)
from annotation.quality.tables import cells_of

NOT_IN = "These filters let in no judgment of this labeler that agreement looks at."
NOT_YET = "Nothing has been computed yet; figures follow the judgments."


class Measure(NamedTuple):
    """One number with what it means; ``aspect`` names the items it is made of, or is empty."""

    key: str
    title: str
    meaning: str
    aspect: str
    one: Data  # of the statistic


class Measures(NamedTuple):
    """All of them, and why this labeler skipped."""

    rows: list[Measure]
    reasons: list[tuple[str, Data]]


_NAMED = (
    (
        "agreement",
        "With the others",
        "How often they say what most of the others say.",
        Aspect.APART,
    ),
    ("accuracy", "Accuracy", "The chance to say the truth, by hierarchical Dawid-Skene.", ""),
    ("gold", "Gold", "Comparisons with a known answer in real work.", Aspect.GOLD),
    ("repeats", "Same answer again", "The same comparison with the sides swapped.", Aspect.REPEAT),
    (
        "flips",
        "Followed the side",
        "Of these, the side chosen again and so the other response.",
        Aspect.REPEAT,
    ),
    ("left", "Chose the left", "Sides are drawn by lot: half is expected.", Aspect.LEFT),
    ("longer", "Chose the longer", "Of decided verdicts between unequal lengths.", Aspect.LONGER),
    (
        "fast",
        "Fast answers",
        "Both responses read at more than 60 characters a second; no fault by itself.",
        Aspect.FAST,
    ),
    ("tie_rate", "Ties", "Of all verdicts, those that say about the same.", Aspect.TIE),
    ("all_bad_rate", "All bad", "Of all verdicts, those that accept no response.", Aspect.BAD),
    (
        "strong_rate",
        "Much better",
        "Of decided verdicts, those with the greatest strength.",
        Aspect.STRONG,
    ),
    (
        "skip_rate",
        "Skips",
        "Of what they were asked here, what they gave back unjudged.",
        Aspect.SKIPPED,
    ),
)


def measures_of(
    project: Project, numbers: LabelerNumbers, labeler_id: int, scope: Scope
) -> Measures:
    """Of all, as the stored report has them, with gold, repeats and skips of now; under filters all computed now."""
    if scope.is_usual:
        found, skips = _stored(project, numbers, labeler_id)
    else:
        found, skips = _scoped(project, labeler_id, scope)
    rows = [Measure(key, title, why, aspect, found[key]) for key, title, why, aspect in _NAMED]
    return Measures([*rows, _when_fast(numbers)], named_reasons(skips.reasons()))


def _when_fast(numbers: LabelerNumbers) -> Measure:
    seconds = f"{numbers.fast_seconds:g} s"
    why = f"Answers under {seconds} that equal those of most others, whatever the filters."
    one = numbers.fast_accuracy.as_json()
    return Measure("fast_accuracy", f"Right under {seconds}", why, "", one)


def measures_table(found: Measures) -> tuple[list[str], list[Row]]:
    """A row a measure, then a row a reason to skip: its share of all skips."""
    head = ["measure", "value", "low", "high", "n", "reason"]
    rows = [[one.key, *cells_of(one.one)] for one in found.rows]
    return head, rows + [[f"skipped: {one['key']}", *cells_of(one)] for _, one in found.reasons]


def _stored(project: Project, numbers: LabelerNumbers, labeler_id: int) -> tuple[Data, Skips]:
    row, everything = reported(project, labeler_id), Scope()
    skips = skips_of(standing_skips(project, everything).filter(labeler=labeler_id), everything)
    same, side = numbers.repeats
    now = {
        "gold": numbers.gold,
        "repeats": same,
        "flips": proportion(side, n=same.n, nothing=same.reason or ""),
        "skip_rate": skips.rate(given=votes_given(project, labeler_id).count()),
    }
    lack = missing(NOT_YET).as_json()
    found = {key: row.get(key, lack) for key, *_ in _NAMED}
    return found | {key: one.as_json() for key, one in now.items()}, skips


def _scoped(project: Project, labeler_id: int, scope: Scope) -> tuple[Data, Skips]:
    scoped = ScopedJudgments(project, scope)
    part = labelers_part(
        scoped.measured, labelers=scoped.labelers, known=scoped.known, tests=scoped.tests
    )
    row: Data = next((one for one in part["labelers"] if one["id"] == labeler_id), {})
    lack = missing(NOT_IN).as_json()
    found = {key: row.get(key, lack) for key, *_ in _NAMED}
    rate = scoped.skip_rate_of(labeler_id)  # also of who judged nothing
    return found | {"skip_rate": rate.as_json()}, scoped.skips.of(labeler_id)
