"""What a reward model's card tells beside its accuracy: reliability, accuracy by slice, where it contradicts people.

Everything is computed from the held-out pairs once, in the run; a page only reads it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from training.evals.calibration import BINS
from training.evals.scored_pairs import ScoredPair, half_win, share_of
from training.functional.intervals import Measured

DISAGREEMENTS = 100  # kept by name
STRENGTHS = ("about the same", "slightly better", "better", "much better")
LENGTHS: tuple[tuple[float, str], ...] = (
    (-0.5, "preferred is less than half as long"),
    (-0.1, "preferred is shorter"),
    (0.1, "about equally long"),
    (0.5, "preferred is longer"),
    (math.inf, "preferred is more than twice as long"),
)


class Bin(NamedTuple):
    """Pairs of one range of confidence: how sure the model is, and how often people agree."""

    low: float
    high: float
    n: int
    predicted: float
    observed: float


def card_facts(pairs: Sequence[ScoredPair], temperature: float | None) -> dict[str, object]:
    """The card's own part; accuracy, ceiling and calibration errors are in the run's metrics."""
    decided = [pair for pair in pairs if not pair.is_tie]
    return {
        "pairs": len(decided),
        "ties": len(pairs) - len(decided),
        "reliability_before": [one._asdict() for one in reliability(decided)],
        "reliability_after": [
            one._asdict() for one in reliability(decided, temperature=temperature or 1.0)
        ],
        "by_strength": slices(decided, strength_name, STRENGTHS),
        "by_length": slices(decided, length_name, [name for _, name in LENGTHS]),
        "by_criterion": slices(decided, lambda pair: pair.criterion),
        "by_source": slices(decided, lambda pair: pair.source),
        "by_split": slices(decided, lambda pair: pair.split),
        "disagreements": [facts_of(pair) for pair in worst(decided)],
    }


def reliability(pairs: Sequence[ScoredPair], *, temperature: float = 1.0) -> list[Bin]:
    """Ten equal bins of confidence from 0.5 to 1, read from the side the model prefers; empty ones are left out."""
    found: dict[int, list[tuple[float, float]]] = {}
    for pair in pairs:
        chance = torch.sigmoid(torch.tensor(pair.difference / temperature)).item()
        confidence, agreed = (
            max(chance, 1 - chance),
            pair.label if chance >= 0.5 else 1 - pair.label,
        )
        place = min(int((confidence - 0.5) * 2 * BINS), BINS - 1)
        found.setdefault(place, []).append((confidence, agreed))
    return [
        Bin(
            low=0.5 + place / (2 * BINS),
            high=0.5 + (place + 1) / (2 * BINS),
            n=len(seen),
            predicted=math.fsum(one for one, _ in seen) / len(seen),
            observed=math.fsum(one for _, one in seen) / len(seen),
        )
        for place, seen in sorted(found.items())
    ]


def slices(
    pairs: Sequence[ScoredPair],
    name_of: Callable[[ScoredPair], str],
    order: Sequence[str] = (),
) -> list[dict[str, object]]:
    """The accuracy in each named part, in order (by name where none is given); empty parts are left out."""
    parts: dict[str, list[ScoredPair]] = {}
    for pair in pairs:
        parts.setdefault(name_of(pair), []).append(pair)
    names = [name for name in (order or sorted(parts)) if name in parts]
    return [{"name": name, **accuracy_of(parts[name])._asdict()} for name in names]


def accuracy_of(pairs: Sequence[ScoredPair]) -> Measured:
    return share_of(pairs, lambda pair: half_win(pair.difference))


def strength_name(pair: ScoredPair) -> str:
    """The mean strength of the votes, rounded to the scale that people answered on."""
    return STRENGTHS[min(max(round(pair.strength), 0), len(STRENGTHS) - 1)]


def length_name(pair: ScoredPair) -> str:
    """By the difference of lengths over the longer one."""
    longer = max(pair.chosen_length, pair.rejected_length, 1)
    relative = (pair.chosen_length - pair.rejected_length) / longer
    return next(name for limit, name in LENGTHS if relative <= limit)


def worst(pairs: Sequence[ScoredPair]) -> list[ScoredPair]:
    """Where the model is surest of what people rejected."""
    wrong = [pair for pair in pairs if pair.difference < 0 and pair.label > 0.5]
    return sorted(wrong, key=lambda pair: pair.difference)[:DISAGREEMENTS]


def facts_of(pair: ScoredPair) -> Mapping[str, object]:
    """A pair by its names, without its texts."""
    return {
        "prompt": pair.prompt_id,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "difference": pair.difference,
        "label": pair.label,
    }
