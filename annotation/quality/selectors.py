"""Reads for agreement: the judgments of a scope, the stored report, who the labelers are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from django.db.models import F, Q
from django.utils import timezone

from annotation.accounts.models import User
from annotation.comparisons.gold import CLOSE, known_tiers
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import OVERALL, tier_levels
from annotation.core.errors import InvalidInput
from annotation.measures.statistic import Interval, Statistic, missing
from annotation.projects.models import Project
from annotation.quality import stored, tally
from annotation.quality.columns import PairColumns
from annotation.quality.figures import Measured
from annotation.quality.further import budget_of, coefficients_part, judges_part
from annotation.quality.judged import JudgedPairs, agreement_mask, judged_pairs, wide_columns
from annotation.quality.labeler_table import Tests, labelers_part, matrix_part
from annotation.quality.models import AgreementReport, ColumnStore, LabelerModel
from annotation.quality.periods import periods_part, versions_part
from annotation.quality.policies import policies_part
from annotation.quality.report import Data, Labeler, headline, report_of
from annotation.quality.scope import USER_KINDS, LabelerKind, Scope
from annotation.quality.stored import Mask, StoredColumns, is_gold, is_repeat
from annotation.quality.truth import KnownLabelers, known_labelers
from annotation.registry.models import ModelVersion

FIT_AT_ONCE = 100_000  # judgments: up to here a filtered view may fit a model of its own


class ScopedJudgments:
    """The judgments of a scope and what is computed from them, each on first use."""

    def __init__(self, project: Project, scope: Scope, *, by_version: bool = True) -> None:
        self.project, self.scope = project, scope
        self.columns = stored.load_columns(project, scope.criterion)
        self.mask = scope_mask(project, scope, self.columns)
        self._by_version = by_version

    @cached_property
    def judged(self) -> JudgedPairs:
        """What agreement looks at: normal and overlap comparisons; gold and repeats are apart."""
        kept = self.mask & agreement_mask(self.columns)
        return judged_pairs(self.columns, kept, by_version=self._by_version)

    @cached_property
    def measured(self) -> Measured:
        return Measured(self.judged)

    @cached_property
    def labelers(self) -> dict[int, Labeler]:
        return labelers_of(self.judged.labeler_ids.tolist())

    @cached_property
    def known(self) -> KnownLabelers | None:
        """The model of the labelers: the stored one, or one of its own for few judgments."""
        found = stored_labelers(self.project, self.scope.criterion)
        if found is None and len(self.judged) <= FIT_AT_ONCE:
            return known_labelers(self.judged)
        return found

    @cached_property
    def tests(self) -> Tests:
        return tests_of(self.project, self.columns, self.mask)


def columns_for(project: Project, scope: Scope) -> PairColumns:
    """The judgments of a scope in the wide columns that rules and snapshots read; an item is a pair."""
    return wide_columns(ScopedJudgments(project, scope, by_version=False).judged)


def scope_mask(project: Project, scope: Scope, columns: StoredColumns) -> Mask:
    """Which rows the filters let in."""
    kept = np.ones(len(columns), dtype=bool)
    if scope.labelers:
        kept &= _labelers_mask(LabelerKind(scope.labelers), columns)
    if scope.chosen:
        kept &= _among(scope.chosen, columns.labeler_ids, columns.rows["labeler"])
    if scope.guideline:
        found = project.guidelines.filter(version=scope.guideline).values_list("pk", flat=True)
        kept &= _among(found, columns.guideline_ids, columns.rows["guideline"])
    if scope.days:
        kept &= columns.rows["given_at"] >= timezone.now().timestamp() - scope.days * 86_400
    wanted = _pairs_mask(project, scope, columns)
    return kept if wanted is None else kept & wanted[columns.rows["pair"]]


def _labelers_mask(kind: LabelerKind, columns: StoredColumns) -> Mask:
    is_imported = (columns.rows["said"] & stored.IMPORTED) > 0
    if kind is LabelerKind.IMPORTED:
        return np.asarray(is_imported)
    users = User.objects.filter(pk__in=columns.labeler_ids, kind=USER_KINDS[kind])
    ids = users.values_list("pk", flat=True)
    return _among(ids, columns.labeler_ids, columns.rows["labeler"]) & ~is_imported


def _among(ids: Iterable[int], known: tuple[int, ...], codes: Any) -> Mask:  # Any: small integers
    wanted = np.isin(np.array([*known, -1]), np.array(list(ids), dtype=np.int64))
    return np.asarray(wanted[codes])


def _pairs_mask(project: Project, scope: Scope, columns: StoredColumns) -> Mask | None:
    """Which pairs the filters let in, by code; None where no filter is about pairs."""
    wanted = np.ones(len(columns.pairs), dtype=bool)
    if scope.batch:
        wanted &= columns.pairs["batch"] == scope.batch
    if scope.language:
        known = columns.languages
        code = known.index(scope.language) if scope.language in known else -1
        wanted &= columns.pairs["language"] == code
    if scope.tag:
        prompts = project.prompts.filter(tags__contains=[scope.tag]).values_list("pk", flat=True)
        wanted &= np.isin(columns.pairs["prompt"], np.fromiter(prompts, dtype=np.int64))
    return None if wanted.all() else wanted


def labelers_of(ids: list[int]) -> dict[int, Labeler]:
    """Names, kinds and rules by id."""
    users = User.objects.filter(pk__in=ids).values_list("pk", "username", "kind", "rule")
    return {pk: Labeler(name=name, kind=kind, rule=rule) for pk, name, kind, rule in users}


def stored_labelers(project: Project, criterion: str) -> KnownLabelers | None:
    """The newest fitted model of the labelers under a criterion."""
    row = LabelerModel.objects.filter(project=project, criterion=criterion).first()
    if row is None:
        return None
    flat = np.frombuffer(row.confusions, dtype=np.float32).astype(np.float64)
    size = len(row.class_shares)
    return KnownLabelers(
        class_shares=np.array(row.class_shares),
        labeler_ids=np.array(row.labeler_ids, dtype=np.int64),
        confusions=flat.reshape(-1, size, size),
        judgments=row.judgments,
    )


def tests_of(project: Project, columns: StoredColumns, mask: Mask) -> Tests:
    """Gold and repeats of each labeler, as (right, shown) and (same, flipped, shown)."""
    gold = mask & is_gold(columns) & ~is_repeat(columns)
    if gold.any():
        gold &= (columns.rows["said"] & stored.IMPORTED) == 0
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
        pair = judged.pairs[code]
        comparison = int(pair["comparison"])
        if comparison in levels:
            level = levels[comparison]
            signs[code] = np.sign(level[int(pair["first"])] - level[int(pair["second"])])
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


PARTS: Mapping[str, Callable[[ScopedJudgments], Data]] = {
    "periods": lambda scoped: {"periods": periods_part(scoped.measured)},
    "labelers": lambda scoped: labelers_part(
        scoped.measured, labelers=scoped.labelers, known=scoped.known, tests=scoped.tests
    ),
    "matrix": lambda scoped: {"matrix": matrix_part(scoped.judged)},
    "versions": lambda scoped: {"versions": versions_part(scoped.judged)},
    "policies": lambda scoped: {"policies": policies_part(scoped.judged)},
    "coefficients": lambda scoped: {"coefficients": coefficients_part(scoped.measured)},
    "judges": lambda scoped: {"judges": judges_part(scoped.judged, scoped.labelers)},
}


def computed_report(project: Project, scope: Scope, *, parts: Iterable[str] = tuple(PARTS)) -> Data:
    """The report of a scope from the stored columns, computed now."""
    return report_from(ScopedJudgments(project, scope), parts=parts)


def report_from(scoped: ScopedJudgments, *, parts: Iterable[str] = tuple(PARTS)) -> Data:
    """The figures, and the parts that were asked for."""
    computed: Data = {}
    for part in parts:
        computed |= PARTS[part](scoped)
    asked_one = bool(scoped.scope.labelers or scoped.scope.chosen)
    report = report_of(
        scoped.measured, labelers=scoped.labelers, parts=computed, asked_one=asked_one
    )
    report["reward_model"] = reward_model_accuracy(scoped.project).as_json()
    return report


def reward_model_accuracy(project: Project) -> Statistic:
    """How often the reward model in service, or the newest, agrees with held-out verdicts of people."""
    models = project.model_versions.filter(kind=ModelVersion.Kind.REWARD)
    serving = models.filter(stage=ModelVersion.Stage.SERVING).first()
    model = serving or models.order_by("-pk").first()
    found = None if model is None else model.metrics.get("accuracy")
    if not isinstance(found, dict) or found.get("value") is None:
        return missing("No reward model of this project was measured yet.")
    interval = found.get("interval")
    return Statistic(
        value=float(found["value"]),
        interval=Interval(*interval) if interval else None,
        n=int(found.get("n") or 0),
    )


def stored_report(project: Project) -> AgreementReport | None:
    """The newest computed report; None before the first."""
    return AgreementReport.objects.filter(project=project).first()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """A report with its age: the figures follow each judgment, the tables of all judgments come a little later."""

    scope: Scope
    report: Data
    computed_at: datetime | None
    is_current: bool  # the figures know every judgment
    version: int = 0  # of the figures
    tables_at: datetime | None = None
    are_tables_current: bool = True


def view_of(
    project: Project, scope: Scope, *, parts: Iterable[str] = tuple(PARTS)
) -> AgreementView:
    """The stored report under the figures of now for all judgments, a fresh one for a part of them."""
    view = _viewed(project, scope, parts)
    budget = budget_of(view.report, labels_an_item=project.overlap)
    return replace(view, report={**view.report, "budget": budget})


def _viewed(project: Project, scope: Scope, parts: Iterable[str]) -> AgreementView:
    if not scope.is_everything:
        _refuse_unknown(project, scope)
        return AgreementView(
            scope=scope,
            report=computed_report(project, scope, parts=parts),
            computed_at=timezone.now(),
            is_current=not stored.is_behind(project),
        )
    row = stored_report(project)
    live = live_view(project)
    if row is None and live.computed_at is not None and tally.is_small(project):
        tables = computed_report(project, scope, parts=parts)  # before a worker computed the first
        return replace(live, report={**EMPTY, **tables, **live.report}, tables_at=live.computed_at)
    return _together(project, row, live)


def _together(project: Project, row: AgreementReport | None, live: AgreementView) -> AgreementView:
    """The stored tables under the live figures, or under their own where those have to be counted."""
    store = ColumnStore.objects.filter(project=project).values_list("version", flat=True).first()
    version = None if row is None else row.version
    are_current = live.is_current and version == store
    tables = EMPTY if row is None else {**EMPTY, **row.data}
    tables_at = None if row is None else row.computed_at
    if live.computed_at is None:
        is_current = are_current or (store is None and not stored.is_behind(project))
        return replace(
            live, report=tables, computed_at=tables_at, tables_at=tables_at, is_current=is_current
        )
    return replace(
        live,
        report={**tables, **live.report},
        tables_at=tables_at,
        are_tables_current=are_current,
    )


def live_view(project: Project) -> AgreementView:
    """The figures above the tabs as the judgments are now; without ``computed_at`` where nobody counted them yet."""
    row = tally.fresh(project, headline)
    if row is None:
        return AgreementView(
            scope=Scope(), report=EMPTY, computed_at=None, is_current=not stored.is_behind(project)
        )
    return AgreementView(
        scope=Scope(),
        report={**row.figures, "reward_model": reward_model_accuracy(project).as_json()},
        computed_at=row.figures_at,
        is_current=not stored.is_behind(project),
        version=row.version or 0,
        tables_at=row.figures_at,
    )


EMPTY: Data = {
    "judgments": 0,
    "labelers_count": 0,
    "comparisons": 0,
    "pairs": 0,
    "pairs_shared": 0,
    "is_rough": True,
    "labelers": [],
    "funnel": None,
    "matrix": [],
    "periods": [],
    "versions": [],
    "policies": {"rows": [], "reason": "There is no judgment yet.", "verdicts": 0, "next": []},
    "coefficients": [],
    "judges": [],
    "statistics": {},
    "kinds": [],
}


def _refuse_unknown(project: Project, scope: Scope) -> None:
    if scope.criterion != OVERALL and not project.criteria.filter(name=scope.criterion).exists():
        raise InvalidInput(f"This project has no criterion {scope.criterion!r}.")
    if scope.guideline and not project.guidelines.filter(version=scope.guideline).exists():
        raise InvalidInput(f"This project has no guideline version {scope.guideline}.")
    if scope.batch and not project.batches.filter(pk=scope.batch).exists():
        raise InvalidInput(f"This project has no batch {scope.batch}.")


def tags_of(project: Project) -> list[str]:
    """The tags of the project's prompts, the first sixty by name."""
    rows = project.prompts.filter(~Q(tags=[])).values_list("tags", flat=True)
    return sorted({tag for tags in rows[:5_000] for tag in tags})[:60]


def named_policies(project: Project, rows: list[Data]) -> list[Data]:
    """The rows of the ranking with the names of models in place of their keys."""
    if not rows:
        return []
    models = ModelVersion.objects.filter(project=project, kind=ModelVersion.Kind.POLICY)
    names = {
        f"policy {pk}": f"{name} v{number}"
        for pk, name, number in models.values_list("pk", "name", "number")
    }
    keys = ("source", "against")  # the second where a row is about two
    return [
        {**row, **{_NAMED[key]: names.get(row[key], row[key]) for key in keys if key in row}}
        for row in rows
    ]


_NAMED = {"source": "name", "against": "against_name"}


def guideline_rows(project: Project, rows: list[Data]) -> list[Data]:
    """Agreement under each version beside what the version is, and what a newer one could ask again."""
    versions = project.guidelines.order_by("version").values_list("pk", "version", "created_at")
    known = {pk: (version, at) for pk, version, at in versions}
    newest = max((version for version, _ in known.values()), default=0)
    found = []
    for row in rows:
        version, at = known.get(row["guideline_id"], (0, None))
        is_old = bool(version) and version < newest
        found.append({**row, "version": version, "since": at, "is_old": is_old})
    return sorted(found, key=lambda row: int(row["version"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """What was judged under older versions of the guideline only."""

    version: int
    comparisons: int
    judgments: int


def requeue_of(project: Project, scope: Scope) -> Requeue | None:
    """What the newest version would ask again; None where every comparison knows it."""
    newest = project.guidelines.order_by("-version").values_list("pk", "version").first()
    columns = stored.load_columns(project, scope.criterion)
    if newest is None or len(columns) == 0:
        return None
    is_new = _among([newest[0]], columns.guideline_ids, columns.rows["guideline"])
    kept = agreement_mask(columns)
    known = np.zeros(len(columns.pairs), dtype=bool)
    known[columns.rows["pair"][is_new]] = True
    old = kept & ~known[columns.rows["pair"]]
    pairs = np.unique(columns.rows["pair"][old])
    comparisons = len(np.unique(columns.pairs["comparison"][pairs]))
    judgments = len(np.unique(columns.judgments[old]))
    return (
        Requeue(version=newest[1], comparisons=comparisons, judgments=judgments)
        if judgments
        else None
    )
