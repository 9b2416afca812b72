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

from annotation.comparisons.models import Assignment, Judgment
from annotation.comparisons.selectors import pair_rows
from annotation.comparisons.services import comparisons, judging, queue
from annotation.core.errors import Conflict, NotFound
from tests import factories

PEOPLE = st.integers(0, 3)
COMPARISONS = 3
OVERLAP = 2


class Labeling(RuleBasedStateMachine):
    """Four labelers, three comparisons of overlap two, and an admin who closes and opens them."""

    def __init__(self) -> None:
        super().__init__()
        self.project = factories.project(overlap=OVERLAP)
        prompt = factories.prompt(self.project)
        for _ in range(COMPARISONS):
            factories.comparison(prompt, overlap=OVERLAP)
        self.labelers = [factories.member(self.project) for _ in range(4)]
        self.acknowledged: dict[UUID, int] = {}
        self.skipped: set[tuple[int, int]] = set()

    def _lease(self, person: int) -> Assignment | None:
        found = queue.lease_next_comparison(project=self.project, labeler=self.labelers[person])
        return found if isinstance(found, Assignment) else None

    def _submit(self, assignment: Assignment, uuid: UUID, **answer: Any) -> Judgment:
        a, b = assignment.comparison.candidate_ids
        verdict = {"ranking": [[b], [a]], "strengths": [1], **answer}
        judgment = judging.submit_judgment(assignment=assignment, client_uuid=uuid, **verdict)
        self.acknowledged[uuid] = judgment.pk
        return judgment

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
        if mine:
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
            judging.undo_last(project=self.project, labeler=self.labelers[person])

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
            assert row.state == "closed" or (row.state == "judged") == (standing == row.overlap)

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
        assert {row.strength for row in pair_rows(self.project)} <= {-1}


@pytest.mark.django_db
def test_nothing_is_lost_and_nothing_over_filled_whatever_labelers_do():
    chosen = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Labeling, settings=chosen)
