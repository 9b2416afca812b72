"""Disputes: a labeler appeals what was decided about their work; an admin answers; the labeler reads the outcome."""

from collections.abc import Callable, Iterable

from django.db import IntegrityError, transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.gold import gold_answers
from annotation.comparisons.models import Comparison, GoldItem, Judgment
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Project
from annotation.quality import acts, adjudication, gold, rules
from annotation.quality.groups import labelers_within
from annotation.quality.models import Adjudication, Dispute, LabelerAct, Rule
from annotation.quality.scope import EVERYTHING, Scope
from annotation.quality.words import needed

TEXT_MAX = 2_000
Subject = Dispute.Subject
State = Dispute.State


@transaction.atomic
def open_dispute(
    *, project: Project, labeler: User, subject: str, subject_id: int, text: str
) -> Dispute:
    """Appeal one thing, once. Raises NotFound where it does not concern this labeler."""
    if subject not in Subject:
        raise InvalidInput.at(
            "subject", f"subject={subject[:60]!r} is not one of {', '.join(Subject.values)}."
        )
    told = needed(text, "text", TEXT_MAX)
    if not _CONCERNS[Subject(subject)](project, labeler, subject_id):
        raise NotFound(_("There is nothing here that concerns you and that you could appeal."))
    row = Dispute(
        project=project, labeler=labeler, subject=subject, subject_id=subject_id, text=told
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(
            _("You have appealed this already; the answer appears on this page.")
        ) from error
    audit.record("dispute.opened", row, actor=labeler, subject=subject, subject_id=subject_id)
    return row


def _adjudication_concerns(project: Project, labeler: User, pk: int) -> bool:
    row = Adjudication.objects.filter(project=project, pk=pk, undone_at=None).first()
    if row is None:
        return False
    return row.comparison.judgments.filter(labeler=labeler, withdrawn_at=None).exists()


def _gold_concerns(project: Project, labeler: User, pk: int) -> bool:
    """Training alone: there the known answer was shown. Real gold is never told to a labeler."""
    answers = gold_answers(project).filter(labeler=labeler, comparison_id=pk)
    return answers.filter(assignment__is_training=True).exists()


def _exclusion_concerns(project: Project, labeler: User, series: int) -> bool:
    return any(one.series == series for one in rules_about(project, labeler.pk))


def _pause_concerns(project: Project, labeler: User, pk: int) -> bool:
    rows = acts.acts_on(project, labeler.pk).filter(pk=pk, undone_at=None)
    return rows.filter(kind=LabelerAct.Kind.PAUSE).exists()


_CONCERNS: dict[Subject, Callable[[Project, User, int], bool]] = {
    Subject.ADJUDICATION: _adjudication_concerns,
    Subject.GOLD: _gold_concerns,
    Subject.EXCLUSION: _exclusion_concerns,
    Subject.PAUSE: _pause_concerns,
}


def rules_about(project: Project, labeler_id: int) -> list[Rule]:
    """The rules that leave something of this labeler out now."""
    on = [one for one in rules.rules_of(project) if one.is_on and one.kind in rules.EXCLUDING]
    return [one for one in on if labeler_id in one.found]


@transaction.atomic
def answer_dispute(
    *, dispute: Dispute, is_upheld: bool, answer: str, actor: User, is_remedied: bool = False
) -> Dispute:
    """Uphold (the labeler is right) or decline, with a reason the labeler will read.

    With ``is_remedied`` what was appealed is taken back in the same act: the adjudication undone, the gold retired, the
    rule switched off, the pause ended.
    """
    told = needed(answer, "answer", TEXT_MAX)
    changed = Dispute.objects.filter(pk=dispute.pk, state=State.OPEN).update(
        state=State.UPHELD if is_upheld else State.DECLINED,
        answer=told,
        answered_by=actor,
        answered_at=timezone.now(),
    )
    if not changed:
        raise Conflict(
            "This dispute has been answered already; open it again to change the answer."
        )
    dispute.refresh_from_db()
    if is_upheld and is_remedied:
        _REMEDIES[Subject(dispute.subject)](dispute, told, actor)
    audit.record(f"dispute.{dispute.state}", dispute, actor=actor, answer=told)
    return dispute


def _undo_adjudication(dispute: Dispute, _text: str, actor: User) -> None:
    made = adjudication.adjudication_of(dispute.project, dispute.subject_id)
    adjudication.undo_adjudication(made=made, actor=actor)


def _retire_gold(dispute: Dispute, text: str, actor: User) -> None:
    item = gold.gold_item(dispute.project, dispute.subject_id)
    gold.retire_gold(item=item, reason=text[: gold.REASON_MAX], actor=actor)


def _switch_off(dispute: Dispute, _text: str, actor: User) -> None:
    rules.switch_rule(project=dispute.project, series=dispute.subject_id, is_on=False, actor=actor)


def _resume(dispute: Dispute, text: str, actor: User) -> None:
    member = acts.labeler_of(dispute.project, dispute.labeler_id)
    acts.act(member=member, kind=LabelerAct.Kind.RESUME, text=text[: acts.TEXT_MAX], actor=actor)


_REMEDIES: dict[Subject, Callable[[Dispute, str, User], None]] = {
    Subject.ADJUDICATION: _undo_adjudication,
    Subject.GOLD: _retire_gold,
    Subject.EXCLUSION: _switch_off,
    Subject.PAUSE: _resume,
}


@transaction.atomic
def reopen_dispute(*, dispute: Dispute, actor: User) -> Dispute:
    """Take the answer back. What was remedied with it stays; it has an undo of its own."""
    rows = Dispute.objects.filter(pk=dispute.pk).exclude(state=State.OPEN)
    if not rows.update(state=State.OPEN, answer="", answered_by=None, answered_at=None):
        raise Conflict("This dispute is open already.")
    audit.record("dispute.reopened", dispute, actor=actor, was=dispute.state, answer=dispute.answer)
    dispute.refresh_from_db()
    return dispute


def dispute_of(project: Project, pk: int) -> Dispute:
    """One dispute of the project; NotFound otherwise."""
    row = Dispute.objects.filter(project=project, pk=pk).select_related("project").first()
    if row is None:
        raise NotFound("There is no such dispute in this project.")
    return row


def disputes_of(
    project: Project, *, state: str = "", scope: Scope = EVERYTHING
) -> QuerySet[Dispute]:
    """The disputes of a project that the filters let in, the newest first; InvalidInput for an unknown ``state``."""
    if state and state not in State.values:
        raise InvalidInput(f"state={state[:60]!r} is not one of {', '.join(State.values)}.")
    rows = _within(project, scope)
    rows = rows.filter(state=state) if state else rows
    return rows.select_related("labeler", "answered_by").order_by("-pk")


def _within(project: Project, scope: Scope) -> QuerySet[Dispute]:
    """By when and by whom they were opened; by batch, language and tag those about a comparison alone."""
    kept = scope.times_q("created_at") & labelers_within(project, scope)
    rows = Dispute.objects.filter(kept, project=project)
    if not scope.comparisons_q():
        return rows
    decided = Adjudication.objects.filter(scope.comparisons_q("comparison__"), project=project)
    compared = project.comparisons.filter(scope.comparisons_q())
    about = Q(subject=Subject.ADJUDICATION, subject_id__in=decided.order_by().values("pk"))
    about |= Q(subject=Subject.GOLD, subject_id__in=compared.order_by().values("pk"))
    return rows.filter(about)


def disputes_about(comparison: Comparison) -> QuerySet[Dispute]:
    """What labelers appeal of one comparison: its adjudications, and its known answer."""
    made = comparison.adjudications.values("pk")
    about = Q(subject=Subject.ADJUDICATION, subject_id__in=made)
    about |= Q(subject=Subject.GOLD, subject_id=comparison.pk)
    rows = Dispute.objects.filter(about, project_id=comparison.project_id)
    judged = Judgment.objects.filter(
        comparison=comparison, labeler=OuterRef("labeler"), is_repeat=False
    )
    shown = Subquery(judged.order_by("-pk").values("shown_order")[:1])
    return rows.annotate(shown_order=shown).select_related("labeler").order_by("-pk")


def counts_of(project: Project, scope: Scope = EVERYTHING) -> dict[str, int]:
    """How many disputes that the filters let in are in each state."""
    rows = _within(project, scope).order_by().values_list("state")
    found = dict(rows.annotate(many=Count("pk")))
    return {state: found.get(state, 0) for state in State.values}


def gold_by_comparison(project: Project, comparison_ids: Iterable[int]) -> dict[int, GoldItem]:
    """The gold items among these comparisons; one query."""
    rows = GoldItem.objects.filter(project=project, pk__in=list(comparison_ids))
    return {row.pk: row for row in rows}
