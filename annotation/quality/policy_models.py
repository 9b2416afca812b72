"""Policies by models beside Davidson's: whether the order holds whatever is assumed of ties and labelers."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotation.measures.crowd_bt import crowd_bradley_terry
from annotation.measures.plackett_luce import plackett_luce_of_choices
from annotation.measures.ranking import PairCounts, TieModel, rank
from annotation.measures.statistic import Interval, Statistic, missing, normal_interval
from annotation.measures.strength_scale import StrengthScale, strength_scale
from annotation.quality.choices import ranked_choices
from annotation.quality.judged import JudgedPairs
from annotation.quality.policies import POLICIES_MAX, between, counted
from annotation.quality.report import Data
from annotation.quality.stored import MARKS, SIDES, Fields

VERDICTS_MAX = 100_000  # the last two models look at each verdict by itself
KILO = 1_000.0  # characters
UNIT = "log odds of one step"
STYLES = {
    "headings": "Having all the headings",
    "items": "Having all the list items",
    "bold": "Having all the bold",
}
NOTHING: Data = {"rows": [], "models": [], "effects": []}
TOO_MANY = (
    f"This model is fitted to at most {VERDICTS_MAX:,} verdicts. Filter by time, batch or tag."
)
SCALE = (
    "strength_scale",
    "Strength scale",
    "How much better counts too, with position, length and style taken out (adjacent categories).",
)
CROWD = (
    "crowd_bt",
    "Crowd-BT",
    "Each labeler reports what they see with their own reliability; ties are left out. No interval.",
)
NO_FIT = "The verdicts have no finite best fit under this model."
NOT_RANKED = "This policy is in no ranking of three or more."
NO_TIE = "This model needs ties beside decided verdicts."


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """One row a verdict between two policies that is not all bad; policies as codes from 0."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    strengths: npt.NDArray[np.int64]  # -3 to 3
    labelers: npt.NDArray[np.int64]
    left: npt.NDArray[np.float64]  # 1 the first stood left, -1 right, 0 not known
    longer: npt.NDArray[np.float64]  # by how many thousand characters the first is longer
    marks: dict[
        str, npt.NDArray[np.float64]
    ]  # of `MARKS`: how many more the first has, of those in both

    def __len__(self) -> int:
        return len(self.first)


class Covariate(NamedTuple):
    """What may sway a verdict beside the policies: a number a verdict, positive for the first."""

    name: str
    column: npt.NDArray[np.float64]


class Model(NamedTuple):
    """A model fitted to the verdicts: a strength for each policy, or why there is none."""

    key: str
    name: str
    meaning: str
    found: list[Statistic]


def models_part(judged: JudgedPairs) -> Data:
    """Strengths of each policy under each model, and what position, length and style add."""
    codes, pairs = between(judged)
    size = len(codes)
    if not 2 <= size <= POLICIES_MAX:
        return NOTHING
    counts, clusters = counted(judged, pairs, size)
    by_verdict, effects = _by_verdict(judged, codes, counts)
    models = [
        *_tie_models(counts, clusters, size),
        *by_verdict,
        *_plackett_luce(judged, codes),
    ]
    rows = [
        {
            "source": judged.sources[code],
            "strengths": [{"model": one.key, **one.found[at].as_json()} for one in models],
        }
        for at, code in enumerate(codes)
    ]
    return {
        "rows": sorted(rows, key=lambda row: -(row["strengths"][0]["value"] or 0.0)),
        "models": [{"key": one.key, "name": one.name, "meaning": one.meaning} for one in models],
        "effects": effects,
    }


def _by_verdict(
    judged: JudgedPairs, codes: list[int], counts: PairCounts
) -> tuple[list[Model], list[Data]]:
    """The models that look at each verdict by itself, and the effects beside them; no verdict is read in vain."""
    size, decided = len(codes), int((counts.wins + counts.losses).sum())
    if decided > VERDICTS_MAX:
        refused = [missing(TOO_MANY, n=decided + int(counts.ties.sum()))] * size
        return [Model(*SCALE, refused), Model(*CROWD, refused)], []
    verdicts = _verdicts(judged, codes)
    scale, asked = _scaled(verdicts, size)
    models = [_scale_model(scale, verdicts, size), _crowd(verdicts, size)]
    return models, _effects(scale, asked, verdicts)


def _verdicts(judged: JudgedPairs, codes: list[int]) -> Verdicts:
    place = np.full(len(judged.sources) + 1, -1, dtype=np.int64)
    place[codes] = np.arange(len(codes))
    first, second = (place[judged.of_pairs(f"{side}_source")] for side in SIDES)
    kept = (first >= 0) & (second >= 0) & (first != second) & ~judged.is_all_bad
    of_pair = judged.pair_codes[kept]
    gap = judged.pairs["first_length"] - judged.pairs["second_length"]
    return Verdicts(
        first=first[kept],
        second=second[kept],
        strengths=judged.strengths[kept].astype(np.int64),
        labelers=judged.labelers[kept].astype(np.int64),
        left=np.array([-1.0, 1.0, 0.0, 0.0])[judged.left[kept]],
        longer=gap[of_pair] / KILO,
        marks={mark: _more(judged.pairs, mark)[of_pair] for mark in MARKS},
    )


def _more(pairs: Fields, mark: str) -> npt.NDArray[np.float64]:
    """(first - second) / (first + second), as style control has it (Li et al. 2024); 0 where neither has any."""
    first, second = (pairs[f"{side}_{mark}"].astype(np.float64) for side in SIDES)
    return np.asarray((first - second) / np.maximum(first + second, 1.0))


def _tie_models(counts: PairCounts, clusters: npt.NDArray[np.int64], size: int) -> list[Model]:
    decided = PairCounts(
        first=counts.first,
        second=counts.second,
        wins=counts.wins,
        ties=np.zeros_like(counts.ties),
        losses=counts.losses,
    )
    asked: list[tuple[TieModel, PairCounts, str, str]] = [
        (TieModel.DAVIDSON, counts, "Davidson", "A tie is a verdict of its own."),
        (TieModel.NONE, decided, "Bradley-Terry", "Ties are left out."),
        (TieModel.RAO_KUPPER, counts, "Rao-Kupper", "Small differences are seen as ties."),
    ]
    return [
        Model(model.value, name, meaning, _ranked(model, used, clusters, size))
        for model, used, name, meaning in asked
    ]


def _ranked(
    model: TieModel, counts: PairCounts, clusters: npt.NDArray[np.int64], size: int
) -> list[Statistic]:
    n = int((counts.wins + counts.ties + counts.losses).sum())
    found = rank(counts, candidate_count=size, ties=model, clusters=clusters)
    if found.strengths is None:
        return [missing(found.reason or NO_FIT, n=n)] * size
    return [
        Statistic(value=float(found.strengths[at]), interval=found.interval(at), n=n)
        for at in range(size)
    ]


def _scaled(verdicts: Verdicts, size: int) -> tuple[StrengthScale | None, list[Covariate]]:
    """Fitted with position, length and style beside the policies, and what was fitted.

    Without style where it cannot be told from the rest; None where it cannot be fitted at all.
    """
    if _scale_refusal(verdicts):
        return None, []
    plain, style = _covariates(verdicts)
    for asked in ([*plain, *style], plain) if style else (plain,):
        scale = _fitted(verdicts, size, asked)
        if scale is not None:
            return scale, asked
    return None, []


def _fitted(verdicts: Verdicts, size: int, asked: list[Covariate]) -> StrengthScale | None:
    steps = np.unique(np.abs(verdicts.strengths))  # a step that nobody took is none
    columns = [one.column for one in asked]
    return strength_scale(
        verdicts.first,
        verdicts.second,
        np.sign(verdicts.strengths) * np.searchsorted(steps, np.abs(verdicts.strengths)),
        candidate_count=size,
        top=len(steps) - 1,
        covariates=np.column_stack(columns) if columns else None,
    )


def _scale_refusal(verdicts: Verdicts) -> str | None:
    if len(verdicts) > VERDICTS_MAX:
        return TOO_MANY
    is_tie = verdicts.strengths == 0
    return None if is_tie.any() and not is_tie.all() else NO_TIE


def _covariates(verdicts: Verdicts) -> tuple[list[Covariate], list[Covariate]]:
    """What varies of position and length, and of style."""
    plain = [
        Covariate("Shown on the left", verdicts.left / 2),
        Covariate("Longer by 1,000 characters", verdicts.longer),
    ]
    style = [Covariate(STYLES[mark], column) for mark, column in verdicts.marks.items()]
    return [one for one in plain if one.column.any()], [one for one in style if one.column.any()]


def _scale_model(scale: StrengthScale | None, verdicts: Verdicts, size: int) -> Model:
    n = len(verdicts)
    if scale is None:
        reason = _scale_refusal(verdicts) or NO_FIT
        return Model(*SCALE, [missing(reason, n=n)] * size)
    half = 1.96 * np.sqrt(np.diag(scale.covariance))
    found = [
        Statistic(value=float(value), interval=Interval(float(value - w), float(value + w)), n=n)
        for value, w in zip(scale.strengths, half, strict=True)
    ]
    return Model(*SCALE, found)


def _crowd(verdicts: Verdicts, size: int) -> Model:
    decided = verdicts.strengths != 0
    n = int(decided.sum())
    if not 0 < n <= VERDICTS_MAX:
        reason = TOO_MANY if n else NO_FIT
        return Model(*CROWD, [missing(reason, n=n)] * size)
    first, second = verdicts.first[decided], verdicts.second[decided]
    is_first = verdicts.strengths[decided] > 0
    found = crowd_bradley_terry(
        verdicts.labelers[decided],
        np.where(is_first, first, second),
        np.where(is_first, second, first),
        candidate_count=size,
        labeler_count=int(verdicts.labelers.max()) + 1,
    )
    told = [Statistic(value=float(one), interval=None, n=n) for one in found.strengths]
    return Model(*CROWD, told)


def _plackett_luce(judged: JudgedPairs, codes: list[int]) -> list[Model]:
    """From rankings of three and more; no column in a project that compares pairs alone."""
    rows = int((~judged.opens_judgment).sum())  # beyond the first pair of each judgment
    if rows == 0:
        return []
    if rows > VERDICTS_MAX:
        return [_plackett_model([missing(TOO_MANY, n=rows)] * len(codes))]
    found = ranked_choices(judged, codes)
    if found is None:
        return []
    fit = plackett_luce_of_choices(found.choices, clusters=found.labelers)
    told = [missing(NOT_RANKED)] * len(codes)
    for at, policy in enumerate(found.policies.tolist()):
        if fit is None:
            told[policy] = missing(NO_FIT, n=found.rankings)
            continue
        value, se = float(fit[0][at]), float(np.sqrt(max(fit[1][at, at], 0.0)))
        told[policy] = Statistic(
            value=value, interval=normal_interval(value, se=se), n=found.rankings
        )
    return [_plackett_model(told)]


def _plackett_model(found: list[Statistic]) -> Model:
    meaning = (
        "From rankings of three and more: at each place the best of those that remain is chosen. "
        "Places that several share are left out. Intervals over labelers, from five on."
    )
    return Model("plackett_luce", "Plackett-Luce", meaning, found)


def _effects(scale: StrengthScale | None, asked: list[Covariate], verdicts: Verdicts) -> list[Data]:
    """What position, length and style add, the policies being equal."""
    if scale is None:
        return []
    return [
        {
            "name": one.name,
            "unit": UNIT,
            **Statistic(
                value=float(scale.effects[at]), interval=scale.effect_interval(at), n=len(verdicts)
            ).as_json(),
        }
        for at, one in enumerate(asked)
    ]
