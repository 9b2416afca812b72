"""Whatever labelers do, in whatever order: no place is filled twice, no answer is lost, nobody judges twice."""

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.selectors import pair_rows
from annotation.comparisons.services import comparisons, judging, queue
from annotation.core.errors import Conflict, NotFound
from annotation.projects.models import Membership, Project, Role
from tests import factories

PEOPLE = st.integers(0, 3)
COMPARISONS = 3
OVERLAP = 2


class Labeling(RuleBasedStateMachine):
    """Four labelers, three comparisons of overlap two, and an admin who closes, pauses, adds and removes."""

    strengths = {-1, -3}
    overlap = OVERLAP
    stop_when_agreeing: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.project = factories.project(stop_when_agreeing=self.stop_when_agreeing)
        prompt = factories.prompt(self.project)
        for _ in range(COMPARISONS):
            factories.comparison(prompt, overlap=self.overlap)
        self.labelers = [factories.member(self.project) for _ in range(4)]
        self.acknowledged: dict[UUID, int] = {}
        self.standing: dict[
            tuple[int, int], int
        ] = {}  # the model: (labeler, comparison) -> strength
        self.skipped: set[tuple[int, int]] = set()

    def _lease(self, person: int) -> Assignment | None:
        labeler = self.labelers[person]
        mine = Membership.objects.filter(user=labeler).first()
        self.project.refresh_from_db()
        if mine is None:
            with pytest.raises(NotFound):
                queue.lease_next_comparison(project=self.project, labeler=labeler)
            return None
        found = queue.lease_next_comparison(project=self.project, labeler=labeler)
        is_leased = isinstance(found, Assignment)
        assert not (is_leased and (self.project.is_paused or mine.paused_at))
        return found if is_leased else None

    def _submit(self, assignment: Assignment, uuid: UUID, **answer: Any) -> Judgment:
        verdict = {"ranking": self._ranking(assignment), "strengths": [1], **answer}
        judgment = judging.submit_judgment(assignment=assignment, client_uuid=uuid, **verdict)
        self.acknowledged[uuid] = judgment.pk
        self.standing[judgment.labeler_id, judgment.comparison_id] = verdict["strengths"][0]
        return judgment

    def _ranking(self, assignment: Assignment) -> list[list[int]]:
        a, b = assignment.comparison.candidate_ids
        return [[b], [a]]

    def _undo(self, person: int) -> Assignment:
        undone = judging.undo_last(project=self.project, labeler=self.labelers[person])
        del self.standing[undone.labeler_id, undone.comparison_id]
        return undone

    @rule(person=PEOPLE)
    def lease(self, person):
        self._lease(person)

    @rule(person=PEOPLE)
    def lease_and_submit(self, person):
        if assignment := self._lease(person):
            assert (assignment.labeler_id, assignment.comparison_id) not in self.skipped
            assert self._submit(assignment, uuid4()).is_counted

    @rule(person=PEOPLE, data=st.data())
    def submit_whatever_is_held(self, person, data):
        mine = list(self.project.assignments.filter(labeler=self.labelers[person]).order_by("pk"))
        is_member = Membership.objects.filter(user=self.labelers[person]).exists()
        if mine and is_member:
            held = data.draw(st.sampled_from(mine))
            was_live = held.state == "leased" and held.lease_until > timezone.now()
            try:
                judgment = self._submit(held, uuid4())
            except Conflict:
                return
            assert not judgment.is_counted or was_live

    @rule(data=st.data())
    def replay(self, data):
        if self.acknowledged:
            uuid = data.draw(st.sampled_from(sorted(self.acknowledged)))
            judgment = Judgment.objects.get(client_uuid=uuid)
            held = Assignment.objects.get(
                comparison=judgment.comparison_id, labeler=judgment.labeler_id
            )
            if not Membership.objects.filter(user=judgment.labeler).exists():
                return
            a, b = judgment.comparison.candidate_ids
            again = judging.submit_judgment(
                assignment=held, client_uuid=uuid, ranking=[[a], [b]], strengths=[3]
            )
            assert again.pk == self.acknowledged[uuid]

    @rule(person=PEOPLE)
    def skip(self, person):
        if assignment := self._lease(person):
            queue.skip_assignment(assignment=assignment, reason="other")
            self.skipped.add((assignment.labeler_id, assignment.comparison_id))

    @rule(person=PEOPLE)
    def undo(self, person):
        with suppress(Conflict, NotFound):
            self._undo(person)

    @rule(person=PEOPLE)
    def revise(self, person):
        with suppress(Conflict, NotFound):
            self._submit(self._undo(person), uuid4(), strengths=[3])

    @rule(is_paused=st.booleans())
    def pause_or_go_on(self, is_paused):
        Project.objects.filter(pk=self.project.pk).update(is_paused=is_paused)

    @rule(person=PEOPLE, is_paused=st.booleans())
    def pause_a_labeler_or_let_them_go_on(self, person, is_paused):
        at = timezone.now() if is_paused else None
        Membership.objects.filter(user=self.labelers[person]).update(paused_at=at)

    @rule(person=PEOPLE)
    def remove(self, person):
        Membership.objects.filter(user=self.labelers[person]).delete()

    @rule(person=PEOPLE)
    def add(self, person):
        who = {"project": self.project, "user": self.labelers[person], "role": Role.LABELER}
        Membership.objects.get_or_create(**who)

    @rule(data=st.data())
    def a_lease_ends(self, data):
        leased = list(self.project.assignments.filter(state="leased").order_by("pk"))
        if leased:
            one = data.draw(st.sampled_from(leased))
            ended = timezone.now() - timedelta(seconds=1)
            Assignment.objects.filter(pk=one.pk).update(lease_until=ended)

    @rule()
    def sweep(self):
        queue.expire_leases()

    @rule(which=st.integers(0, COMPARISONS - 1), is_closed=st.booleans())
    def close_or_open(self, which, is_closed):
        comparison = self.project.comparisons.order_by("pk")[which]
        comparisons.set_closed(comparison=comparison, is_closed=is_closed, actor=self.labelers[0])

    @invariant()
    def no_comparison_is_over_filled_and_every_count_is_true(self):
        for row in self.project.comparisons.all():
            standing = row.judgments.filter(withdrawn_at=None, is_counted=True).count()
            held = row.assignments.filter(state="leased").count()
            assert row.judgments_counted == standing
            assert row.slots_taken == standing + held <= row.overlap
            is_over = standing == row.overlap or self._have_agreed(row)
            assert row.state == "closed" or (row.state == "judged") == is_over

    def _have_agreed(self, row: Comparison) -> bool:
        said = row.judgments.filter(withdrawn_at=None, is_counted=True)
        rankings = [str(one) for one in said.values_list("ranking", flat=True)]
        enough = self.stop_when_agreeing
        return enough is not None and len(rankings) >= enough and len(set(rankings)) == 1

    @invariant()
    def nobody_judges_a_comparison_twice(self):
        standing = self.project.judgments.filter(withdrawn_at=None)
        pairs = Counter(standing.values_list("labeler_id", "comparison_id"))
        assert max(pairs.values(), default=1) == 1

    @invariant()
    def no_acknowledged_answer_is_lost_or_stored_twice(self):
        stored = dict(self.project.judgments.values_list("client_uuid", "pk"))
        assert stored == self.acknowledged

    @invariant()
    def every_pair_says_what_was_answered_wherever_it_stood(self):
        assert {row.strength for row in pair_rows(self.project)} <= self.strengths

    @invariant()
    def what_stands_is_what_the_model_says(self):
        rows = self.project.judgments.filter(withdrawn_at=None)
        stored = rows.values_list("labeler_id", "comparison_id", "strengths")
        assert {(who, what): steps[0] for who, what, steps in stored} == self.standing


class StoppingEarly(Labeling):
    """The same with four places each, where two equal verdicts end a comparison; the last labeler disputes."""

    strengths = {-1, -3, 1, 3}
    overlap = 4
    stop_when_agreeing = 2

    def _ranking(self, assignment: Assignment) -> list[list[int]]:
        better_last = super()._ranking(assignment)
        return better_last[::-1] if assignment.labeler == self.labelers[-1] else better_last


@pytest.mark.django_db
@pytest.mark.parametrize("machine", [Labeling, StoppingEarly])
def test_nothing_is_lost_and_nothing_over_filled_whatever_labelers_do(machine):
    chosen = settings(
        max_examples=8,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)
