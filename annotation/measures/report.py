"""The agreement report of a ratings file, as plain data for JSON or a terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from annotation.measures.agreement import summary
from annotation.measures.coefficients import Level
from annotation.measures.ratings_file import RatingsFile, ScaleOrigin, read_ratings

StatisticJson = dict[str, float | int | str | list[float] | None]


class LabelerReport(TypedDict):
    """One labeler beside the others."""

    labeler: str
    items: int
    agreement: StatisticJson
    accuracy: StatisticJson


class ScaleReport(TypedDict):
    """The scale that was used and where it came from."""

    labels: list[str]
    origin: str
    note: str | None


class RejectedRowReport(TypedDict):
    """A row left out."""

    line: int
    reason: str


class AgreementReport(TypedDict):
    """Everything the command prints."""

    level: str
    scale: ScaleReport
    items: int
    judgments: int
    percent_agreement: StatisticJson
    krippendorff_alpha: StatisticJson
    fleiss_kappa: StatisticJson
    gwet_ac1: StatisticJson
    cohen_kappa: StatisticJson
    cohen_kappa_weighted: StatisticJson
    labelers: list[LabelerReport]
    rejected: list[RejectedRowReport]


def report_file(
    path: Path, *, level: Level = Level.NOMINAL, scale: Sequence[str] | None = None, seed: int = 0
) -> AgreementReport:
    """Read and measure; raises UnreadableRatingsError if the file as a whole cannot be read."""
    return report(read_ratings(path, scale=scale), level=level, seed=seed)


def report(ratings: RatingsFile, *, level: Level, seed: int = 0) -> AgreementReport:
    """The coefficients and labelers of the rows kept, beside the rows that were not."""
    shown = summary(ratings.table, level=level, seed=seed)
    return AgreementReport(
        level=str(level),
        scale=_scale(ratings, level),
        items=len(ratings.items),
        judgments=len(ratings.table.items),
        percent_agreement=shown.percent_agreement.as_json(),
        krippendorff_alpha=shown.krippendorff_alpha.as_json(),
        fleiss_kappa=shown.fleiss_kappa.as_json(),
        gwet_ac1=shown.gwet_ac1.as_json(),
        cohen_kappa=shown.cohen_kappa.as_json(),
        cohen_kappa_weighted=shown.cohen_kappa_weighted.as_json(),
        labelers=[
            LabelerReport(
                labeler=ratings.labelers[one.labeler],
                items=one.items,
                agreement=one.agreement.as_json(),
                accuracy=one.accuracy.as_json(),
            )
            for one in shown.labelers
        ],
        rejected=[RejectedRowReport(line=row.line, reason=row.reason) for row in ratings.rejected],
    )


def _scale(ratings: RatingsFile, level: Level) -> ScaleReport:
    note = None
    if ratings.scale_origin is not ScaleOrigin.DECLARED:
        note = "No scale was declared: labels that nobody gave are not counted as possible."
    if ratings.scale_origin is ScaleOrigin.ALPHABETICAL and level is Level.ORDINAL:
        note = "The labels are not numbers, so they are ranked by the alphabet: declare the scale."
    labels = list(ratings.table.scale.names)
    return ScaleReport(labels=labels, origin=str(ratings.scale_origin), note=note)
