"""The judgments of a scope: which rows its filters let in, and what is computed from them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from django.db.models import QuerySet
from django.utils import timezone

from annotation.comparisons.models import Assignment
from annotation.measures.statistic import Statistic
from annotation.projects.models import Project
from annotation.quality import stored
from annotation.quality.columns import PairColumns
from annotation.quality.figures import Measured
from annotation.quality.groups import chosen_of
from annotation.quality.judged import (
    JudgedPairs,
    agreement_mask,
    count_votes,
    given_here,
    is_selected,
    judged_pairs,
    ranking_mask,
    votes_mask,
    wide_columns,
)
from annotation.quality.labeler_table import Tests
from annotation.quality.models import LabelerModel
from annotation.quality.report import Data, Labeler
from annotation.quality.scope import EVERYBODY, USER_KINDS, LabelerKind, Scope, Selected
from annotation.quality.skipped import Skips, skips_of, standing_skips
from annotation.quality.stored import Mask, StoredColumns, among
from annotation.quality.tested import tests_of
from annotation.quality.truth import KnownLabelers, known_labelers

_LABELERS = "SELECT id, username, kind, rule FROM accounts_user WHERE id = ANY(%s::bigint[])"
FIT_AT_ONCE = 100_000  # judgments: up to here a filtered view may fit a model of its own


class ScopedJudgments:
    """The judgments of a scope and what is computed from them, each on first use.

    ``counted`` are ids of machine judges whose verdicts count like those of people, because a rule says so.
    ``let_in`` are the rows that the other filters let in, whatever the kind of labeler.
    """

    def __init__(
        self,
        project: Project,
        scope: Scope,
        *,
        by_version: bool = True,
        counted: Collection[int] = (),
    ) -> None:
        self.project, self.scope = project, scope
        self.columns = stored.load_columns(project, scope.criterion)
        self.let_in = _filters_mask(project, scope, self.columns)
        self._machines = _kind_mask(USER_KINDS[LabelerKind.MACHINE], self.columns)
        self.mask = self.let_in & self._kinds_mask(scope.labelers, counted)
        self._by_version = by_version

    @cached_property
    def judged(self) -> JudgedPairs:
        """What agreement looks at: the votes; those on selected comparisons only where the filter names them."""
        return self._judged(self.mask)

    @cached_property
    def ranked(self) -> JudgedPairs:
        """What policies are ranked by: the same with what was drawn."""
        if self.scope.selected or not stored.is_drawn(self.columns).any():
            return self.judged
        kept = self.mask & ranking_mask(self.columns)
        return judged_pairs(self.columns, kept, by_version=self._by_version)

    @cached_property
    def votes(self) -> JudgedPairs:
        """All that decides the comparisons."""
        if self.scope.selected or not is_selected(self.columns).any():
            return self.judged
        kept = self.mask & votes_mask(self.columns)
        return judged_pairs(self.columns, kept, by_version=self._by_version)

    @cached_property
    def beside_machines(self) -> JudgedPairs:
        """The same with what machine judges said of the comparisons that the other filters let in."""
        machines = self.let_in & self._machines
        return self.judged if (machines <= self.mask).all() else self._judged(self.mask | machines)

    def _kinds_mask(self, labelers: str, counted: Collection[int]) -> Mask:
        """Rows of the labelers that the filter names; where it names none, of all but machine judges."""
        rows = self.columns.rows
        if labelers == EVERYBODY:
            return np.ones(len(rows), dtype=bool)
        if not labelers:
            return ~self._machines | among(counted, self.columns.labeler_ids, rows["labeler"])
        kind, is_imported = LabelerKind(labelers), stored.is_imported(self.columns)
        if kind is LabelerKind.MACHINE:
            return self._machines
        if kind is LabelerKind.IMPORTED:
            return np.asarray(is_imported & ~self._machines)
        return _kind_mask(USER_KINDS[kind], self.columns) & ~is_imported

    def _judged(self, mask: Mask) -> JudgedPairs:
        kept = mask & self.agreement
        return judged_pairs(self.columns, kept, by_version=self._by_version)

    @cached_property
    def agreement(self) -> Mask:
        """Rows that agreement looks at, whoever gave them."""
        return (votes_mask if self.scope.selected else agreement_mask)(self.columns)

    @property
    def by_people(self) -> Mask:
        """Votes of all but machine judges under the criterion, whatever the filters."""
        return ~self._machines & votes_mask(self.columns)

    @cached_property
    def measured(self) -> Measured:
        votes = count_votes(self.columns, self.mask)
        return Measured(self.judged, beside=self.beside_machines, votes=votes)

    @cached_property
    def labelers(self) -> dict[int, Labeler]:
        return labelers_of(self.beside_machines.labeler_ids.tolist())

    @cached_property
    def known(self) -> KnownLabelers | None:
        """The model of the labelers: the stored one, or one of its own for few judgments."""
        found = stored_labelers(self.project, self.scope.criterion)
        if found is None and len(self.votes) <= FIT_AT_ONCE:
            return known_labelers(self.votes)
        return found

    @cached_property
    def skips(self) -> Skips:
        """Of all that was asked here: agreement leaves out what was selected for its verdicts, and a skip has none."""
        return skips_of(self._skips_let_in(), self.scope)

    def skip_rate_of(self, labeler_id: int) -> Statistic:
        """Of what one labeler was asked here."""
        return self.skips.of(labeler_id).rate(given=self._given.get(labeler_id, 0))

    @cached_property
    def _given(self) -> dict[int, int]:
        return given_here(self.columns, self.mask)

    def only_skipped(self) -> list[Data]:
        """Who judged nothing that the filters let in and skipped, so that no table has them; the most skips first."""
        judged = set(self.beside_machines.labeler_ids.tolist())
        skips = {pk: n for pk, n in self.skips.totals().items() if pk not in judged}
        names = {pk: one.name for pk, one in labelers_of(list(skips)).items()}
        rows = [{"id": pk, "name": names[pk], "skips": n} for pk, n in skips.items()]
        return sorted(rows, key=lambda row: (-row["skips"], row["name"]))

    def skipped_by(self, labeler_id: int) -> npt.NDArray[np.int64]:
        """Ids of the comparisons that this labeler skipped, in order."""
        rows = self._skips_let_in().filter(labeler=labeler_id).order_by("comparison_id")
        return np.array(rows.values_list("comparison_id", flat=True), dtype=np.int64)

    def _skips_let_in(self) -> QuerySet[Assignment]:
        rows = standing_skips(self.project, self.scope)
        if self.scope.selected == Selected.ONLY:
            wanted = _pairs_mask(self.project, self.scope.only(("selected",)), self.columns)
            ids = self.columns.pairs["comparison"]
            chosen = np.unique(ids if wanted is None else ids[wanted])
            rows = rows.filter(comparison__in=chosen.tolist())
        return rows

    @cached_property
    def tests(self) -> Tests:
        rates = {pk: self.skip_rate_of(pk) for pk in self.columns.labeler_ids}
        return replace(tests_of(self.project, self.columns, self.mask), skip_rates=rates)


def counting_judgments(project: Project, *, counted: Collection[int]) -> JudgedPairs:
    """What resolutions and rules look at: all but machine judges, and those ``counted``; an item is a pair."""
    return ScopedJudgments(project, Scope(), by_version=False, counted=counted).votes


def columns_that_count(project: Project, *, counted: Collection[int]) -> PairColumns:
    """The same in the wide columns that rules read."""
    return wide_columns(counting_judgments(project, counted=counted))


def _filters_mask(project: Project, scope: Scope, columns: StoredColumns) -> Mask:
    """Which rows the filters let in, whatever the kind of labeler."""
    kept = np.ones(len(columns), dtype=bool)
    chosen = chosen_of(project, scope)
    if chosen is not None:
        kept &= among(chosen, columns.labeler_ids, columns.rows["labeler"])
    if scope.guideline:
        found = project.guidelines.filter(version=scope.guideline).values_list("pk", flat=True)
        kept &= among(found, columns.guideline_ids, columns.rows["guideline"])
    begins_at, ends_at = scope.begins_at(timezone.now()), scope.ends_at
    if begins_at:
        kept &= columns.rows["given_at"] >= begins_at.timestamp()
    if ends_at:
        kept &= columns.rows["given_at"] < ends_at.timestamp()
    wanted = _pairs_mask(project, scope, columns)
    return kept if wanted is None else kept & wanted[columns.rows["pair"]]


def _kind_mask(kind: str, columns: StoredColumns) -> Mask:
    ids = [pk for pk, one in labelers_of(columns.labeler_ids).items() if one.kind == kind]
    return among(ids, columns.labeler_ids, columns.rows["labeler"])


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
    if scope.selected == Selected.ONLY:
        chosen = columns.pairs["kind"] == stored.DRAWN
        chosen[columns.rows["pair"][stored.is_asked_again(columns)]] = True
        wanted &= chosen
    return None if wanted.all() else wanted


def labelers_of(ids: Sequence[int]) -> dict[int, Labeler]:
    """Names, kinds and rules by id. The ids are one parameter: a thousand of them take longer to write than to find."""
    users = stored.fetched(_LABELERS, list(ids))
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
