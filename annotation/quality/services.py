"""What is made of judgments: the project's agreement report, and what is known of its labelers."""

import logging
import time
from collections.abc import Collection
from datetime import timedelta

import numpy as np
from django.utils import timezone

from annotation.core.jobs import Job, ring
from annotation.projects.models import Project
from annotation.quality import resolving, rules, selectors, stored, storing, tally
from annotation.quality.figures import FORMULAS
from annotation.quality.judged import JudgedPairs
from annotation.quality.models import AgreementReport, ColumnStore, LabelerModel
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments, columns_that_count, stored_labelers
from annotation.quality.truth import KnownLabelers, known_labelers

logger = logging.getLogger(__name__)
FEW = 1_000  # changes that a page may bring into the columns before it reads them
LONG_SECONDS = 1.0  # computing longer than this rests
REFIT_ROWS = 20_000  # up to so many judged pairs the labelers are fitted anew each time
REFIT_GROWTH = 1.05  # beyond, when there are so many times more than at the last fit


def catch_up(*, project: Project) -> None:
    """Bring the newest judgments into columns and figures, where they are few; many are a worker's work."""
    if stored.waiting(project, at_most=FEW + 1) <= FEW:
        storing.fold_changes(project=project)
        if tally.is_lost(project) and tally.is_small(project):
            tally.ensure(project)


def refresh_agreement(*, project: Project) -> AgreementReport | None:
    """Bring columns, figures, labelers, resolutions and tables up to date; None where nothing is new.

    The figures follow every ring. What looks at all judgments rests twenty times as long as it took,
    so it never has more than a twentieth of a core.
    """
    storing.fold_changes(project=project)
    tally.ensure(project)
    store = ColumnStore.objects.filter(project=project).first()
    report = selectors.stored_report(project)
    fresh = report if report is not None and not selectors.is_old(report) else None
    if store is None or (fresh is not None and fresh.version == store.version):
        return None
    if fresh is not None and _put_off(fresh):
        return None
    started = time.perf_counter()
    scoped, counted = ScopedJudgments(project, Scope()), rules.counted_machines(project)
    known, is_new = _fitted(project, _counting(scoped, counted), anew=fresh is None)
    scoped.known = known
    rules.enforce(project=project, columns=columns_that_count(project, counted=counted))
    resolving.resolve_changed(project=project, store=store, known=known, everything=is_new)
    report, _ = AgreementReport.objects.update_or_create(
        project=project,
        defaults={
            "last_judgment_id": int(scoped.columns.judgments.max(initial=0)),
            "judgments_counted": int(scoped.judged.opens_judgment.sum()),
            "version": scoped.columns.version,
            "formulas": FORMULAS,
            "data": selectors.report_from(scoped),
            "seconds": time.perf_counter() - started,
            "rung_for": None,
        },
    )
    logger.info(
        "agreement.refreshed",
        extra={"project": project.pk, "judgments": report.judgments_counted},
    )
    return report


def _put_off(report: AgreementReport) -> bool:
    """Whether the tables rest still; then one ring is set for the end of it."""
    rest = selectors.RESTS * report.seconds if report.seconds > LONG_SECONDS else 0.0
    due = report.computed_at + timedelta(seconds=rest)
    left = (due - timezone.now()).total_seconds()
    if left <= 0:
        return False
    unset = AgreementReport.objects.filter(pk=report.pk).exclude(rung_for__gte=timezone.now())
    if unset.update(rung_for=due):
        ring(Job.REFRESH_AGREEMENT, report.project_id, in_seconds=left)
    return True


def _counting(scoped: ScopedJudgments, counted: Collection[int]) -> JudgedPairs:
    """What resolutions count: the judgments of people, and of machine judges that a rule names."""
    if not counted:
        return scoped.votes
    return ScopedJudgments(scoped.project, scoped.scope, counted=counted).votes


def _fitted(
    project: Project, judged: JudgedPairs, *, anew: bool
) -> tuple[KnownLabelers | None, bool]:
    """The model of the labelers, and whether it was fitted anew: where that is wanted, or their judgments grew."""
    criterion, rows = Scope().criterion, len(judged)
    known = stored_labelers(project, criterion)
    if known is not None and not anew and REFIT_ROWS < rows < known.judgments * REFIT_GROWTH:
        return known, False
    known = known_labelers(judged)
    if known is None:
        LabelerModel.objects.filter(project=project, criterion=criterion).delete()
        return None, True
    LabelerModel.objects.update_or_create(
        project=project,
        criterion=criterion,
        defaults={
            "judgments": known.judgments,
            "class_shares": known.class_shares.tolist(),
            "labeler_ids": known.labeler_ids.tolist(),
            "confusions": known.confusions.astype(np.float32).tobytes(),
        },
    )
    return known, True
