"""Taking answers: a judgment is stored once, counted if its lease was live, and can be undone until it is frozen."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, OuterRef, Subquery, Value, When
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import verdicts
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.selectors import last_judgment_of
from annotation.comparisons.services.queue import give_back_place
from annotation.core.errors import Conflict, NotFound
from annotation.core.jobs import Job, ring
from annotation.projects.models import Criterion, Guideline, Project

RING_EVERY_SECONDS = 2
LARGEST_INTEGER = 2**31 - 1


class _Binding(NamedTuple):
    """What a judgment is bound to at the moment it is given."""

    guideline_id: int | None
    criteria: list[str]


@transaction.atomic
def submit_judgment(  # noqa: PLR0913 - the fields of one answer, each named by the caller
    *,
    assignment: Assignment,
    client_uuid: UUID,
    ranking: Sequence[Sequence[int]] = (),
    strengths: Sequence[int] = (),
    is_all_bad: bool = False,
    criteria: Mapping[str, verdicts.CriterionVerdict] | None = None,
    rationale: str = "",
    active_ms: int = 0,
) -> Judgment:
    """Store an answer; the same ``client_uuid`` again gives the same judgment, and stores nothing.

    1. Lock the assignment, so that two sendings of one answer wait for each other.
    2. Check the answer against the comparison, the rubric and the rule for rationales.
    3. Store it: counted if the lease is live, surplus if it ended. 4. Audit, ring.
    """
    row, binding = _locked(assignment)
    if replay := _earlier(row, client_uuid):
        return replay
    _refuse_if_over(row)
    ids = row.comparison.candidate_ids
    if is_all_bad:
        verdicts.check_all_bad(ranking, strengths)
    else:
        verdicts.check_ranking(ids, ranking, strengths)
    verdicts.check_criteria(ids, criteria or {}, binding.criteria)
    rule = row.project.rationale_rule
    now = timezone.now()
    elapsed = min(int((now - row.leased_at).total_seconds() * 1000), LARGEST_INTEGER)
    judgment = Judgment(
        project=row.project,
        comparison=row.comparison,
        assignment=row,
        labeler=row.labeler,
        guideline_id=binding.guideline_id,
        client_uuid=client_uuid,
        ranking=[sorted(tier) for tier in ranking],
        strengths=list(strengths),
        is_all_bad=is_all_bad,
        criteria=criteria or {},
        rationale=verdicts.cleaned_rationale(rationale, rule=rule, strengths=strengths),
        shown_order=row.shown_order,
        active_ms=max(0, min(active_ms, elapsed)),
        elapsed_ms=max(0, elapsed),
        is_counted=_is_live(row, now),
    )
    return _store(judgment, row)


def undo_last(*, project: Project, labeler: User) -> Assignment:
    """Withdraw the labeler's newest judgment and lease its comparison to them again."""
    judgment = last_judgment_of(project=project, labeler_id=labeler.pk)
    if judgment is None:
        raise NotFound("You have no judgment here to undo.")
    return undo_judgment(judgment=judgment)


@transaction.atomic
def undo_judgment(*, judgment: Judgment) -> Assignment:
    """Withdraw a judgment and re-open its assignment. Raises Conflict once a snapshot has taken it."""
    row = Assignment.objects.select_for_update(of=("self",)).select_related("project")
    assignment = row.filter(judgment=judgment).first()
    now = timezone.now()
    standing = Judgment.objects.filter(pk=judgment.pk, withdrawn_at=None, frozen_at=None)
    if assignment is None or not standing.update(withdrawn_at=now, assignment=None):
        raise Conflict(
            "This judgment can no longer be undone: it is part of a dataset snapshot, or it was undone already."
        )
    _reopen_comparison(judgment)
    assignment.state = Assignment.State.LEASED
    assignment.leased_at = now
    assignment.lease_until = now + timedelta(seconds=assignment.project.lease_seconds)
    assignment.save(update_fields=["state", "leased_at", "lease_until"])
    audit.record("judgment.undone", judgment, actor=judgment.labeler)
    ring_agreement(judgment.project_id)
    return assignment


def _locked(assignment: Assignment) -> tuple[Assignment, _Binding]:
    """The assignment, locked, with the guideline version and criteria in force: one query."""
    guidelines = Guideline.objects.filter(project=OuterRef("project")).order_by("-version")
    criteria = Criterion.objects.filter(project=OuterRef("project")).order_by("position", "pk")
    rows = Assignment.objects.select_for_update(of=("self",)).annotate(
        guideline_now=Subquery(guidelines.values("pk")[:1]),
        criteria_now=ArraySubquery(criteria.values("name")),
    )
    row = rows.select_related("project", "comparison", "labeler").get(pk=assignment.pk)
    return row, _Binding(row.guideline_now, list(row.criteria_now))


def _earlier(assignment: Assignment, client_uuid: UUID) -> Judgment | None:
    """The judgment that was stored under this client UUID, if it is this labeler's."""
    judgment = Judgment.objects.filter(client_uuid=client_uuid).first()
    if judgment and (judgment.labeler_id, judgment.comparison_id) != (
        assignment.labeler_id,
        assignment.comparison_id,
    ):
        raise Conflict("This client_uuid belongs to another judgment; draw a new one.")
    return judgment


def _refuse_if_over(assignment: Assignment) -> None:
    if assignment.state == Assignment.State.SUBMITTED:
        raise Conflict("You have judged this comparison already; undo that first to change it.")
    if assignment.state == Assignment.State.SKIPPED:
        raise Conflict("You have skipped this comparison; load the next one.")


def _is_live(assignment: Assignment, now: datetime) -> bool:
    is_open = assignment.comparison.state != Comparison.State.CLOSED
    is_leased = assignment.state == Assignment.State.LEASED
    return is_open and is_leased and assignment.lease_until > now


def _store(judgment: Judgment, assignment: Assignment) -> Judgment:
    _insert(judgment)
    held_place = assignment.state == Assignment.State.LEASED
    Assignment.objects.filter(pk=assignment.pk).update(state=Assignment.State.SUBMITTED)
    if judgment.is_counted:
        _count(judgment)
    elif held_place:
        give_back_place(assignment)
    audit.record(
        "judgment.submitted", judgment, actor=judgment.labeler, is_counted=judgment.is_counted
    )
    ring_agreement(judgment.project_id)
    return judgment


def _insert(judgment: Judgment) -> None:
    try:
        judgment.save(force_insert=True)
    except IntegrityError as error:  # the client_uuid elsewhere, or a judgment in an imported file
        raise Conflict(
            "Another judgment of yours on this comparison, or with this client_uuid, was stored at the same "
            "moment; load the next comparison."
        ) from error


def _count(judgment: Judgment) -> None:
    full = When(judgments_counted__gte=F("overlap") - 1, then=Value(Comparison.State.JUDGED))
    Comparison.objects.filter(pk=judgment.comparison_id).update(
        judgments_counted=F("judgments_counted") + 1, state=Case(full, default=F("state"))
    )


def _reopen_comparison(judgment: Judgment) -> None:
    """Take one off the count, or, after a surplus judgment, take a free place for the new lease."""
    rows = Comparison.objects.filter(pk=judgment.comparison_id).exclude(
        state=Comparison.State.CLOSED
    )
    if judgment.is_counted:
        changed = rows.update(
            judgments_counted=F("judgments_counted") - 1, state=Comparison.State.OPEN
        )
    else:
        free = rows.filter(slots_taken__lt=F("overlap"))
        changed = free.update(slots_taken=F("slots_taken") + 1)
    if not changed:
        raise Conflict("This comparison is closed or full by now; your judgment stays as it is.")


# Looks before it writes: an upsert alone would lock the row, and all submits of a project would queue for it.
_RING = """
INSERT INTO comparisons_agreementbell AS bell (project_id, rung_at)
SELECT %(project_id)s, %(now)s WHERE NOT EXISTS (
    SELECT 1 FROM comparisons_agreementbell
    WHERE project_id = %(project_id)s AND rung_at >= %(before)s
)
ON CONFLICT (project_id) DO UPDATE SET rung_at = EXCLUDED.rung_at WHERE bell.rung_at < %(before)s
RETURNING project_id
"""


def ring_agreement(project_id: int) -> None:
    """Ring for fresh agreement, at most once in a few seconds; the task starts after those, so it sees the burst."""
    now = timezone.now()
    values: dict[str, int | datetime] = {
        "project_id": project_id,
        "now": now,
        "before": now - timedelta(seconds=RING_EVERY_SECONDS),
    }
    with connection.cursor() as cursor:
        cursor.execute(_RING, values)
        is_due = cursor.fetchone() is not None
    if is_due:
        ring(Job.REFRESH_AGREEMENT, project_id, in_seconds=RING_EVERY_SECONDS)
