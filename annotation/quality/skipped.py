"""Skips that stand: what labelers gave back unjudged. They are missing data, told as a rate, with their reasons.

A skip has no guideline version of its own: it is of the one that was the newest then. It is of the whole comparison,
so of no criterion. Those of gold and of repeats are apart, as their judgments are.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.selectors import OVERALL
from annotation.measures.statistic import Statistic, missing, proportion
from annotation.projects.models import Project
from annotation.quality.groups import labelers_within
from annotation.quality.report import Data
from annotation.quality.scope import EVERYBODY, USER_KINDS, LabelerKind, Scope

NOT_ASKED = "Nothing was asked here: imported judgments were given elsewhere."
OF_ALL_CRITERIA = (
    "A skip is of the whole comparison, under no criterion. Look at overall for how many."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skips:
    """How often each labeler skipped for each reason, by id; ``lack`` says why there is no rate, whatever they are."""

    by_labeler: Mapping[int, Mapping[str, int]]
    lack: str

    def rate(self, *, given: int) -> Statistic:
        """Skips over skips and the votes that were given here."""
        if self.lack:
            return missing(self.lack)
        skipped = sum(self.totals().values())
        return proportion(skipped, n=skipped + given, nothing=NOT_ASKED)

    def of(self, labeler_id: int) -> "Skips":
        """Those of one labeler alone."""
        return Skips(by_labeler={labeler_id: self.by_labeler.get(labeler_id, {})}, lack=self.lack)

    def totals(self) -> dict[int, int]:
        """How many each labeler skipped."""
        return {pk: sum(reasons.values()) for pk, reasons in self.by_labeler.items()}

    def reasons(self) -> list[Data]:
        """Each reason that was given, with its share of the skips, the most usual first."""
        counts = Counter[str]()
        for one in self.by_labeler.values():
            counts.update(one)
        return [
            {"key": key, "skips": n, **proportion(n, n=counts.total(), nothing=NOT_ASKED).as_json()}
            for key, n in counts.most_common()
        ]


def standing_skips(project: Project, scope: Scope) -> QuerySet[Assignment]:
    """Skips that were not undone and that the filters let in; which comparisons are selected, the judgments tell."""
    return Assignment.objects.filter(
        _kind_q(scope.labelers),
        _version_q(project, scope.guideline),
        labelers_within(project, scope),
        scope.times_q("skipped_at"),
        scope.comparisons_q("comparison__"),
        project=project,
        state=Assignment.State.SKIPPED,
        takes_place=True,
    )


def votes_given(project: Project, labeler_id: int) -> QuerySet[Judgment]:
    """What their skips stand beside: votes given here, whatever the filters."""
    given = Judgment.objects.filter(project=project, labeler_id=labeler_id, is_imported=False)
    votes = given.filter(withdrawn_at=None, is_counted=True, is_repeat=False)
    return votes.exclude(comparison__kind=Comparison.Kind.GOLD)


def skips_on(comparison: Comparison) -> QuerySet[Assignment]:
    """Who gave back this one, gold and repeats too, the first to do so first."""
    rows = comparison.assignments.filter(state=Assignment.State.SKIPPED)
    return rows.select_related("labeler").order_by("skipped_at", "pk")


def skips_of(rows: QuerySet[Assignment], scope: Scope) -> Skips:
    """Counted by labeler and reason, in one query."""
    counts = rows.order_by("labeler_id", "skip_reason").values_list("labeler_id", "skip_reason")
    found = defaultdict[int, dict[str, int]](dict)
    for pk, reason, n in counts.annotate(n=Count("*")):
        found[pk][reason] = n
    return Skips(by_labeler=found, lack="" if scope.criterion == OVERALL else OF_ALL_CRITERIA)


def with_skips(report: Data, skips: Skips) -> Data:
    """The report with the rate of skips among its statistics, and their reasons."""
    rate = skips.rate(given=report["judgments_given_here"])
    statistics = {**report["statistics"], "skip_rate": rate.as_json()}
    return {**report, "statistics": statistics, "skips": skips.reasons()}


def named_reasons(reasons: list[Data]) -> list[tuple[str, Data]]:
    """Each with its name for people."""
    return [(str(Assignment.SkipReason(one["key"]).label), one) for one in reasons]


def _kind_q(labelers: str) -> Q:
    """Those of labelers of the kind that the filter names; where it names none, of all but machine judges."""
    if labelers == EVERYBODY:
        return Q()
    if not labelers:
        return ~Q(labeler__kind=USER_KINDS[LabelerKind.MACHINE])
    if labelers == LabelerKind.IMPORTED:
        return Q(pk__in=[])
    return Q(labeler__kind=USER_KINDS[LabelerKind(labelers)])


def _version_q(project: Project, version: int) -> Q:
    """Those given while this version was the newest; 0 is any."""
    if not version:
        return Q()
    begun = project.guidelines.filter(version__gte=version).order_by("version")
    first, *later = begun.values_list("created_at", flat=True)[:2]
    since = Q(skipped_at__gte=first)
    return since & Q(skipped_at__lt=later[0]) if later else since
