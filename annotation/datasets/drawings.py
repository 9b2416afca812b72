"""What the page of a snapshot shows: plots from its manifest, its first records."""

from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.selectors import folder_of
from annotation.ui import charts
from annotation.ui.charts import Bar
from training.spec.errors import DataError
from training.spec.records import Group, Pair, read_groups

SAMPLES = 3
PAIRS_SHOWN = 2

MARGIN_NAMES = {"0": "about even", "1": "slightly", "2": "better", "3": "much better"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A chart with the table of its numbers."""

    title: str
    svg: SafeString
    rows: list[Bar]
    head: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPart:
    """One split in words and numbers."""

    name: str
    number: int
    prompts: int
    pairs: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawings:
    """All that the page draws."""

    splits: list[SplitPart]
    split_bar: SafeString
    plots: list[Plot]


def of_manifest(manifest: dict[str, Any]) -> Drawings:  # Any: JSON
    splits = manifest.get("splits", {})
    pairs = manifest.get("pairs_by_split", {})
    total = sum(splits.values()) or 1
    parts = [
        SplitPart(
            name=name, number=number, prompts=count, pairs=pairs.get(name, 0), share=count / total
        )
        for number, (name, count) in enumerate(_in_order(splits).items(), start=1)
    ]
    told = ", ".join(f"{part.name} {part.share:.0%}" for part in parts)
    bar = charts.shares(
        [Bar(part.name, part.prompts) for part in parts], label=f"Prompts by split: {told}"
    )
    return Drawings(splits=parts, split_bar=bar, plots=_plots(manifest))


def _in_order(splits: dict[str, int]) -> dict[str, int]:
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def _plots(manifest: dict[str, Any]) -> list[Plot]:  # Any: JSON
    lengths = manifest.get("lengths", {}).get("responses", [])
    votes, margins = manifest.get("votes_a_pair", {}), manifest.get("margins", {})
    found = [
        (
            "Response length",
            "characters",
            "Characters, up to",
            [_length_bar(one) for one in lengths],
        ),
        ("Votes a pair has", "votes", "Votes", [Bar(key, count) for key, count in votes.items()]),
        (
            "How much better the chosen one is",
            "mean strength, rounded",
            "Strength",
            [Bar(MARGIN_NAMES.get(key, key), count) for key, count in margins.items()],
        ),
    ]
    return [
        Plot(
            title=title,
            svg=charts.bars(bars, label=f"{title}: histogram", unit=unit),
            rows=bars,
            head=(head, "Count"),
        )
        for title, unit, head, bars in found
        if bars
    ]


def _length_bar(row: dict[str, Any]) -> Bar:  # Any: JSON
    return Bar(f"≤ {row['up_to']:,}" if row["up_to"] else "more", row["count"])


class ShownPair(NamedTuple):
    """A pair with the texts of its two responses."""

    pair: Pair
    chosen: str
    rejected: str


class Sample(NamedTuple):
    """A record as the page shows it."""

    group: Group
    pairs: list[ShownPair]


def samples_of(snapshot: DatasetSnapshot) -> list[Sample]:
    """The first records; none where the files are gone."""
    try:
        groups = list(islice(read_groups(folder_of(snapshot)), SAMPLES))
    except DataError:
        return []
    return [
        Sample(
            group,
            [
                ShownPair(pair, group.text_of(pair.chosen), group.text_of(pair.rejected))
                for pair in group.pairs[:PAIRS_SHOWN]
            ],
        )
        for group in groups
    ]
