"""Adjudication: an admin's verdict on a comparison that labelers do not agree on, with the cause of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import verdicts
from annotation.comparisons.models import Comparison
from annotation.comparisons.selectors import Tiers, tier_levels
from annotation.comparisons.services.judging import ring_agreement
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Project
from annotation.quality.gold import NOTE_MAX
from annotation.quality.models import Adjudication, AgreementReport, ColumnStore, Resolution
from annotation.quality.words import cleaned

Cause = Adjudication.Cause
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an admin found: a ranking, or all bad; neither where the cause is taste."""

    ranking: Tiers
    strengths: list[int]
    is_all_bad: bool = False


NO_VERDICT = Verdict(ranking=[], strengths=[])


@transaction.atomic
def adjudicate(
    *, comparison: Comparison, cause: str, verdict: Verdict, actor: User, note: str = ""
) -> Adjudication:
    """Decide a comparison; an earlier adjudication gives way. Where the cause is taste, the votes stay the label.

    1. Lock the comparison. 2. Check the verdict against it. 3. Store; write the resolution. 4. Audit, ring.
    The one that gives way ends in the instant in which its successor begins: `_replaced_by` finds it by that.
    """
    row = Comparison.objects.select_for_update().get(pk=comparison.pk)
    _check(row, cause, verdict)
    told = cleaned(note, "note", NOTE_MAX)
    before = Adjudication.objects.filter(comparison=row, undone_at=None).first()
    if before is not None:  # first: the database knows one standing adjudication of a comparison
        _set_undone(before, timezone.now())
    made = Adjudication.objects.create(
        project_id=row.project_id,
        comparison=row,
        cause=cause,
        ranking=[sorted(tier) for tier in verdict.ranking],
        strengths=verdict.strengths,
        is_all_bad=verdict.is_all_bad,
        note=told,
        created_by=actor,
    )
    if before is not None:
        _set_undone(before, made.created_at)
    _resolve(made)
    audit.record(
        "comparison.adjudicated",
        made,
        actor=actor,
        comparison=row.pk,
        cause=cause,
        ranking=made.ranking,
        is_all_bad=made.is_all_bad,
    )
    return made


def _set_undone(made: Adjudication, at: datetime | None) -> None:
    Adjudication.objects.filter(pk=made.pk).update(undone_at=at)


def _check(comparison: Comparison, cause: str, verdict: Verdict) -> None:
    if cause not in Cause:
        raise InvalidInput.at(
            "cause", f"cause={cause[:60]!r} is not one of {', '.join(Cause.values)}."
        )
    is_empty = not verdict.ranking and not verdict.is_all_bad
    if cause == Cause.SUBJECTIVE:
        if not is_empty:
            raise InvalidInput.at(
                "cause",
                "Where the cause is taste there is no verdict: the votes stay the label. Choose "
                "another cause, or leave the verdict out.",
            )
    elif is_empty:
        raise InvalidInput.at("ranking", "Say which response is better, or that all are bad.")
    elif verdict.is_all_bad:
        verdicts.check_all_bad(verdict.ranking, verdict.strengths)
    else:
        verdicts.check_ranking(comparison.candidate_ids, verdict.ranking, verdict.strengths)
        scale = comparison.project.answer_scale
        verdicts.check_scale(scale, verdict.ranking, verdict.strengths)


def _resolve(made: Adjudication) -> None:
    """The verdict is the resolution at once; without one, a worker resolves by the votes again."""
    if made.has_verdict:
        Resolution.objects.update_or_create(
            comparison_id=made.comparison_id,
            defaults={
                "project_id": made.project_id,
                "method": Resolution.Method.ADJUDICATED,
                "ranking": made.ranking,
                "is_all_bad": made.is_all_bad,
                "confidence": None,
            },
        )
    else:
        _resolve_by_votes(made)
    ring_agreement(made.project_id)


def _resolve_by_votes(made: Adjudication) -> None:
    adjudicated = Resolution.objects.filter(
        comparison_id=made.comparison_id, method=Resolution.Method.ADJUDICATED
    )
    adjudicated.delete()
    mark_stale(made.project_id)


def mark_stale(project_id: int) -> None:
    """Have the worker resolve anew, though no judgment came."""
    ColumnStore.objects.filter(project_id=project_id).update(is_all_unresolved=True)
    AgreementReport.objects.filter(project_id=project_id).update(version=0)
    ring_agreement(project_id)


@transaction.atomic
def undo_adjudication(*, made: Adjudication, actor: User) -> Adjudication | None:
    """Take a verdict back: the one that it took the place of stands again; without one (None) the votes decide."""
    Comparison.objects.select_for_update().get(pk=made.comparison_id)
    rows = Adjudication.objects.filter(pk=made.pk, undone_at=None)
    if not rows.update(undone_at=timezone.now()):
        raise Conflict("This adjudication was undone already.")
    before = _replaced_by(made)
    if before is None:
        _resolve_by_votes(made)
    else:
        _set_undone(before, None)
        _resolve(before)
    audit.record(
        "comparison.adjudication_undone",
        made,
        actor=actor,
        comparison=made.comparison_id,
        standing=before and before.pk,
    )
    return before


def _replaced_by(made: Adjudication) -> Adjudication | None:
    rows = Adjudication.objects.filter(comparison=made.comparison_id, undone_at=made.created_at)
    return rows.first()


def adjudication_of(project: Project, pk: int) -> Adjudication:
    """One adjudication of the project; NotFound otherwise."""
    row = Adjudication.objects.filter(project=project, pk=pk).select_related("comparison").first()
    if row is None:
        raise NotFound("There is no such adjudication in this project.")
    return row


def standing_adjudications(project: Project) -> QuerySet[Adjudication]:
    """Those that were not undone, the newest first."""
    rows = Adjudication.objects.filter(project=project, undone_at=None)
    return rows.select_related("created_by").order_by("-pk")


def adjudications_by_comparison(
    project: Project, comparison_ids: Iterable[int]
) -> dict[int, Adjudication]:
    """The standing adjudication of each of these comparisons that has one; one query."""
    rows = standing_adjudications(project).filter(comparison_id__in=list(comparison_ids))
    return {row.comparison_id: row for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict:
    """What an adjudication says of two candidates: ``strength`` as in a pair row."""

    strength: int
    is_all_bad: bool


def adjudicated_pairs(project: Project) -> dict[Pair, PairVerdict]:
    """Every pair that a standing adjudication decides, by candidate ids (the smaller first)."""
    rows = standing_adjudications(project).exclude(cause=Cause.SUBJECTIVE)
    columns = (
        rows.select_related(None)
        .order_by("pk")
        .values_list("comparison__candidate_ids", "ranking", "strengths", "is_all_bad")
    )
    found: dict[Pair, PairVerdict] = {}
    for candidate_ids, ranking, strengths, is_all_bad in columns.iterator(chunk_size=2_000):
        levels = {} if is_all_bad else tier_levels(ranking, strengths)
        for place, first in enumerate(candidate_ids):
            for second in candidate_ids[place + 1 :]:
                gap = 0 if is_all_bad else levels[first] - levels[second]
                found[first, second] = PairVerdict(
                    strength=max(-3, min(3, gap)), is_all_bad=is_all_bad
                )
    return found
