"""Further statistics of a view: other coefficients, machine judges against people, cycles, what labels buy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from annotation.measures.agreement import percentile_interval
from annotation.measures.alt_test import AltTest, alt_test
from annotation.measures.coefficients import Level, alpha, ordinal_weights
from annotation.measures.cycles import Triads, triads
from annotation.measures.moments import clustered_bootstrap_moments
from annotation.measures.pairing import items_for_width
from annotation.measures.statistic import Interval, Statistic, missing, proportion
from annotation.measures.table import RatingTable
from annotation.quality.columns import STRENGTHS, VERDICTS
from annotation.quality.figures import Measured
from annotation.quality.judged import JudgedPairs, dense
from annotation.quality.report import (
    ENOUGH_LABELERS,
    Data,
    Labeler,
    explained,
    shown_from,
)

WIDTHS = (0.01, 0.02, 0.03, 0.05, 0.1)
JUDGES_MAX = 8
PROMPT_BOOTSTRAPS = 400
OF_TWO = ("Scott’s pi", "Cohen’s kappa")  # of two labelers by their making
NO_DIFFERENCE = "It is the same on every pair, so no interval can be given."
NO_PAIR = "No pair of these filters was judged by two labelers."


def coefficients_part(measured: Measured) -> list[Data]:
    """The coefficients beside alpha and AC1, for who is used to one of them."""
    verdicts, strengths = measured.verdicts, measured.strengths
    is_two = len(measured.judged.labeler_ids) == 2
    found: list[tuple[str, str, str, Statistic]] = [
        (
            "Scott’s pi" if is_two else "Fleiss’ kappa",
            "verdicts",
            "Chance is drawn from the shares of all labelers together.",
            verdicts.fleiss(),
        ),
        (
            "Brennan-Prediger (PABAK)",
            "verdicts",
            "Chance gives each verdict alike.",
            verdicts.brennan_prediger(),
        ),
        (
            "Gwet’s AC2",
            "strengths",
            "AC1 where a near miss on the seven steps counts in part.",
            strengths.gwet(ordinal_weights(len(STRENGTHS))),
        ),
        (
            "Krippendorff’s alpha, interval",
            "strengths",
            "The seven steps taken as numbers with equal distances.",
            strengths.alpha(Level.INTERVAL),
        ),
    ]
    found += _over_prompts(measured)
    if is_two:
        found.append(
            (
                "Cohen’s kappa",
                "verdicts",
                "Chance is drawn from the shares of each labeler.",
                verdicts.cohen(),
            )
        )
    people, items = len(measured.judged.labeler_ids), measured.items_shared
    shown = [
        shown_from(one, items=items, labelers=ENOUGH_LABELERS if name in OF_TWO else people)
        for name, _, _, one in found
    ]
    return [
        {"name": name, "of": of, "meaning": meaning, **explained(one, NO_PAIR).as_json()}
        for (name, of, meaning, _), one in zip(found, shown, strict=True)
    ]


def _over_prompts(measured: Measured) -> list[tuple[str, str, str, Statistic]]:
    """Alpha with the interval of prompts drawn whole; nothing where each prompt has one pair."""
    judged, strengths = measured.judged, measured.strengths
    whole, of_item = strengths.alpha(Level.ORDINAL), strengths.index.of_item
    prompts, met = dense(judged.pairs["prompt"][judged.item_pairs[: len(of_item)]])
    if len(met) == len(of_item) or whole.value is None:
        return []
    drawn = clustered_bootstrap_moments(
        strengths.patterns,
        of_item,
        prompts,
        strengths.identity,
        replicates=PROMPT_BOOTSTRAPS,
        seed=0,
    )
    interval = percentile_interval(alpha(drawn, Level.ORDINAL, strengths.scale))
    meaning = (
        "Ordinal alpha as at the top; its interval draws prompts with all their comparisons, "
        "which are alike. It is of the same labelers."
    )
    one = Statistic(value=whole.value, interval=interval, n=len(met))
    return [("Krippendorff’s alpha, over prompts", "strengths; n in prompts", meaning, one)]


def judges_part(judged: JudgedPairs, labelers: Mapping[int, Labeler]) -> list[Data]:
    """The alternative annotator test of each machine judge against the people of the view."""
    kinds = [labelers[int(pk)].kind if int(pk) in labelers else "" for pk in judged.labeler_ids]
    is_machine = np.array([kind == "machine" for kind in kinds], dtype=bool)
    if not is_machine.any() or is_machine.all():
        return []
    by_people = ~is_machine[judged.labelers]
    people = RatingTable.from_columns(
        judged.items[by_people], judged.labelers[by_people], judged.verdicts[by_people], VERDICTS
    )
    judges = np.flatnonzero(is_machine)[:JUDGES_MAX].tolist()
    return [_judge(judged, people, code, labelers) for code in judges]


def _judge(
    judged: JudgedPairs, people: RatingTable, code: int, labelers: Mapping[int, Labeler]
) -> Data:
    said = np.full(judged.item_count, -1, dtype=np.int64)
    own = judged.labelers == code
    said[judged.items[own]] = judged.verdicts[own]
    found = alt_test(people, said)
    tested = len(found.labelers)
    pk = int(judged.labeler_ids[code])
    rate = (
        missing("No person shares 30 pairs with this judge and with another person.")
        if found.winning_rate is None
        else proportion(round(found.winning_rate * tested), n=tested, nothing="-")
    )
    return {
        "id": pk,
        "name": labelers[pk].name,
        "pairs": int(own.sum()),
        "passes": found.passes,
        "winning_rate": rate.as_json(),
        "people": [
            {
                "id": int(judged.labeler_ids[person]),
                "name": labelers[int(judged.labeler_ids[person])].name,
                "advantage": _advantage(found, at).as_json(),
                "p_value": float(found.p_values[at]),
            }
            for at, person in enumerate(found.labelers)
        ],
    }


def _advantage(found: AltTest, at: int) -> Statistic:
    """How much oftener one person is as close to the others as the judge than the judge as the person."""
    value, half, n = (each[at].item() for each in (found.advantage, found.half_widths, found.items))
    if half == 0:
        return Statistic(value=value, interval=None, n=n, reason=NO_DIFFERENCE)
    interval = Interval(value - half, value + half).clipped(-1.0, 1.0)
    return Statistic(value=value, interval=interval, n=n)


def cycles_of(judged: JudgedPairs) -> Triads | None:
    """Triples that each labeler decided in all three pairs; None where no prompt has three pairs.

    A prompt with fewer pairs has no triple, so its rows are not looked at.
    """
    prompts, _ = dense(judged.pairs["prompt"])
    has_three = (np.bincount(prompts) >= 3)[prompts]
    if not has_three.any():
        return None
    kept = has_three[judged.pair_codes] & (judged.strengths != 0)
    pair = judged.pair_codes[kept]
    first, second = judged.pairs["first"][pair], judged.pairs["second"][pair]
    is_first = judged.strengths[kept] > 0
    low = int(min(first.min(initial=0), second.min(initial=0)))
    return triads(
        judged.labelers[kept],
        np.where(is_first, first, second) - low,
        np.where(is_first, second, first) - low,
        labeler_count=len(judged.labeler_ids),
    )


def budget_of(report: Mapping[str, Any], *, labels_an_item: int) -> list[Data]:
    """What agreement costs to be known to some width: pairs and labels, and how many lack. Any: the report."""
    agreement = report["statistics"].get("percent", {}).get("value")
    if agreement is None or not 0 < agreement < 1:
        return []
    labels = max(labels_an_item, 2)
    rows = []
    for width in WIDTHS:
        plan = items_for_width(agreement=agreement, half_width=width, labels_an_item=labels)
        lacking = max(plan.items - int(report["pairs_shared"]), 0)
        rows.append(
            {
                "half_width": width,
                "pairs": plan.items,
                "labels": plan.labels,
                "pairs_lacking": lacking,
                "labels_lacking": lacking * labels,
            }
        )
    return rows
