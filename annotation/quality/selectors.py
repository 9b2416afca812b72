"""Reads for agreement: the judgments of a scope, the stored report, who the labelers are."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from django.contrib.postgres.fields import ArrayField
from django.db.models import F, Func, JSONField, Q, QuerySet, TextField, Value
from django.utils import timezone

from annotation.comparisons.selectors import OVERALL
from annotation.core.errors import InvalidInput
from annotation.measures.statistic import Interval, Statistic, missing
from annotation.projects.models import Project
from annotation.quality import stored, tally
from annotation.quality.figures import FORMULAS
from annotation.quality.further import budget_of, coefficients_part, judges_part
from annotation.quality.gains import items_part
from annotation.quality.labeler_table import labelers_part, matrix_part
from annotation.quality.models import AgreementReport, ColumnStore, Dispute
from annotation.quality.periods import periods_part, requeue_part, versions_part
from annotation.quality.policies import policies_part
from annotation.quality.policy_models import models_part
from annotation.quality.positions import position_part
from annotation.quality.report import Data, headline, report_of
from annotation.quality.scope import Scope
from annotation.quality.scoped import FIT_AT_ONCE, ScopedJudgments
from annotation.quality.skipped import skips_of, standing_skips, with_skips
from annotation.registry.models import ModelVersion

FILTERED_EVERY = 5  # seconds at least between two looks at filtered figures
RESTS = 20  # times as long as it took rests what is computed over and over

PARTS: Mapping[str, Callable[[ScopedJudgments], Data]] = {
    "periods": lambda scoped: {"periods": periods_part(scoped.measured)},
    "labelers": lambda scoped: (
        labelers_part(
            scoped.measured, labelers=scoped.labelers, known=scoped.known, tests=scoped.tests
        )
        | {"only_skipped": scoped.only_skipped()}
    ),
    "position": lambda scoped: {
        "position": position_part(
            scoped.judged, at_most=None if scoped.scope.is_usual else FIT_AT_ONCE
        )
    },
    "matrix": lambda scoped: {"matrix": matrix_part(scoped.judged)},
    "versions": lambda scoped: {"versions": versions_part(scoped.measured)},
    "requeue": lambda scoped: {
        "requeue": requeue_part(
            scoped.columns, scoped.by_people, newest=newest_guideline(scoped.project)
        )
    },
    "items": lambda scoped: {"items": items_part(scoped.votes, scoped.known)},
    "policies": lambda scoped: {"policies": policies_part(scoped.ranked, evenly=scoped.judged)},
    "models": lambda scoped: {"models": models_part(scoped.ranked)},
    "coefficients": lambda scoped: {"coefficients": coefficients_part(scoped.measured)},
    "judges": lambda scoped: {"judges": judges_part(scoped.beside_machines, scoped.labelers)},
}


def computed_report(project: Project, scope: Scope, *, parts: Iterable[str] = tuple(PARTS)) -> Data:
    """The report of a scope from the stored columns, computed now."""
    return report_from(ScopedJudgments(project, scope), parts=parts)


def report_from(scoped: ScopedJudgments, *, parts: Iterable[str] = tuple(PARTS)) -> Data:
    """The figures, and the parts that were asked for."""
    computed: Data = {}
    for part in parts:
        computed |= PARTS[part](scoped)
    report = report_of(
        scoped.measured,
        labelers=scoped.labelers,
        parts=computed,
        is_filtered=not scoped.scope.is_usual,
    )
    report["reward_model"] = reward_model_accuracy(scoped.project)
    return with_skips(report, scoped.skips)


def reward_model_accuracy(project: Project) -> Data:
    """How often the reward model in service, or the newest, agrees with held-out verdicts; ``of`` whose these are.

    The kinds of labelers come with the most judgments first. No filter narrows it: it was measured when it was trained.
    """
    models = project.model_versions.filter(kind=ModelVersion.Kind.REWARD)
    serving = models.filter(stage=ModelVersion.Stage.SERVING).first()
    model = serving or models.order_by("-pk").first()
    found = None if model is None else model.metrics.get("accuracy")
    if model is None or not isinstance(found, dict) or found.get("value") is None:
        return missing("No reward model of this project was measured yet.").as_json() | {"of": []}
    interval = found.get("interval")
    measured = Statistic(
        value=float(found["value"]),
        interval=Interval(*interval) if interval else None,
        n=int(found.get("n") or 0),
    )
    kinds = model.lineage.get("judgments_by_kind", {})
    return measured.as_json() | {"of": sorted(kinds, key=lambda kind: -kinds[kind])}


def stored_report(project: Project) -> AgreementReport | None:
    """The newest computed report; None before the first."""
    return AgreementReport.objects.filter(project=project).first()


def is_old(report: AgreementReport) -> bool:
    """Whether other formulas computed it than those of now."""
    return report.formulas != FORMULAS


def with_old_reports() -> QuerySet[Project]:
    """Projects with judgments whose report other formulas computed, or is away, as upgrades leave it."""
    is_behind = Q(agreement=None) | Q(agreement__formulas__lt=FORMULAS)
    return Project.objects.filter(is_behind, columns__isnull=False).order_by("pk")


def _stored_parts(project: Project, parts: Iterable[str]) -> AgreementReport | None:
    """The same with the parts asked for alone: the rows of a thousand labelers are long to read."""
    unasked = [key for part in PARTS if part not in parts for key in _KEYS.get(part, (part,))]
    dropped = Value(unasked, output_field=ArrayField(TextField()))
    kept = Func(
        F("data"),
        dropped,
        template="(%(expressions)s)",
        arg_joiner=" - ",
        output_field=JSONField(),
    )
    rows = AgreementReport.objects.filter(project=project).defer("data").annotate(kept=kept)
    row = rows.first()
    if row is not None:
        row.data = row.kept
    return row


_KEYS = {"labelers": ("labelers", "funnel")}  # of the report, where a part is not one of its name


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """A report with its age: the figures follow each judgment, the tables of all judgments come a little later."""

    scope: Scope
    report: Data
    computed_at: datetime | None
    is_current: bool  # the figures know every judgment
    version: int = 0  # of the figures
    every: int = 2  # seconds after which an open page asks for newer ones
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
    if not scope.is_usual:
        return _filtered(project, scope, parts)
    row = _stored_parts(project, parts)
    live = live_view(project)
    if row is None and live.computed_at is not None and tally.is_small(project):
        tables = computed_report(project, scope, parts=parts)  # before a worker computed the first
        return replace(live, report={**EMPTY, **tables, **live.report}, tables_at=live.computed_at)
    return _together(project, row, live)


def _filtered(project: Project, scope: Scope, parts: Iterable[str]) -> AgreementView:
    """Computed now; an open page asks for newer ones so seldom that it has a twentieth of a core at most."""
    refuse_unknown(project, scope)
    started = time.process_time()
    scoped = ScopedJudgments(project, scope)
    report = report_from(scoped, parts=parts)
    return AgreementView(
        scope=scope,
        report=report,
        computed_at=timezone.now(),
        is_current=not stored.is_behind(project),
        version=scoped.columns.version,
        every=max(FILTERED_EVERY, ceil(RESTS * (time.process_time() - started))),
    )


def version_of(project: Project) -> int:
    """Of the stored columns: it changes with every judgment that is taken into them; 0 before the first."""
    found = ColumnStore.objects.filter(project=project).values_list("version", flat=True).first()
    return found or 0


def _together(project: Project, row: AgreementReport | None, live: AgreementView) -> AgreementView:
    """The stored tables under the live figures, or under their own where those have to be counted."""
    store = ColumnStore.objects.filter(project=project).values_list("version", flat=True).first()
    version = None if row is None else row.version
    are_current = live.is_current and version == store and (row is None or not is_old(row))
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
    """The figures at the top of the page as the judgments are now; no ``computed_at`` before anybody counted."""
    row = tally.fresh(project, headline)
    if row is None:
        return AgreementView(
            scope=Scope(), report=EMPTY, computed_at=None, is_current=not stored.is_behind(project)
        )
    figures = {**row.figures, "reward_model": reward_model_accuracy(project)}
    skips = skips_of(standing_skips(project, Scope()), Scope())
    return AgreementView(
        scope=Scope(),
        report=with_skips(figures, skips),
        computed_at=row.figures_at,
        is_current=not stored.is_behind(project),
        version=row.version or 0,
        tables_at=row.figures_at,
    )


EMPTY: Data = {
    "judgments": 0,
    "labelers_count": 0,
    "pairs_by_machines": 0,
    "comparisons": 0,
    "judgments_asked_again": 0,
    "judgments_drawn": 0,
    "judgments_given_here": 0,
    "pairs": 0,
    "pairs_shared": 0,
    "is_rough": True,
    "labelers": [],
    "funnel": None,
    "matrix": [],
    "position": [],
    "periods": [],
    "versions": [],
    "requeue": None,
    "items": None,
    "policies": {"rows": [], "reason": "There is no judgment yet.", "verdicts": 0, "next": []},
    "models": {"rows": [], "models": [], "effects": []},
    "coefficients": [],
    "judges": [],
    "statistics": {},
    "kinds": [],
    "skips": [],
    "only_skipped": [],
}


def refuse_unknown(project: Project, scope: Scope) -> None:
    """Raise InvalidInput for a filter that names what this project does not have."""
    if scope.criterion != OVERALL and not project.criteria.filter(name=scope.criterion).exists():
        raise InvalidInput(f"This project has no criterion {scope.criterion!r}.")
    if scope.guideline and not project.guidelines.filter(version=scope.guideline).exists():
        raise InvalidInput(f"This project has no guideline version {scope.guideline}.")
    if scope.batch and not project.batches.filter(pk=scope.batch).exists():
        raise InvalidInput(f"This project has no batch {scope.batch}.")


def newest_guideline(project: Project) -> int | None:
    """The id of its newest version."""
    return project.guidelines.order_by("-version").values_list("pk", flat=True).first()


def open_disputes(project: Project) -> QuerySet[Dispute]:
    """What labelers appealed and nobody has answered yet."""
    return Dispute.objects.filter(project=project, state=Dispute.State.OPEN)


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
    """What was judged under versions before the newest guideline only."""

    version: int
    comparisons: int
    judgments: int


def requeue_of(project: Project, report: Data) -> Requeue | None:
    """What the newest version would ask again; None before it was counted.

    A version that came after the count knows no judgment that was counted: it asks for all of them.
    """
    newest = project.guidelines.order_by("-version").values_list("pk", "version").first()
    counted = report["requeue"]
    if newest is None:
        return Requeue(version=0, comparisons=0, judgments=0)
    if counted is None:
        return None
    pk, version = newest
    found = counted if counted["guideline_id"] == pk else report
    return Requeue(version=version, comparisons=found["comparisons"], judgments=found["judgments"])
