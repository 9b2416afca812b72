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

from annotation.comparisons import claims
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.selectors import pair_rows
from annotation.comparisons.services import batches, comparisons, judging, queue, skips
from annotation.comparisons.verdicts import Answer
from annotation.core.errors import Conflict, NotFound
from annotation.projects.models import Membership, Project, Role
from annotation.quality import gold
from tests import factories

PEOPLE = st.integers(0, 3)
COMPARISONS = 3
IN_BATCH = 2
SELDOM = st.sampled_from([False, False, True])
WHICH = st.integers(0, COMPARISONS - 1)
OVERLAP = 2

Key = tuple[int, int, bool]  # labeler, comparison, whether it is a repeat


def key_of(one: Assignment | Judgment) -> Key:
    return one.labeler_id, one.comparison_id, one.is_repeat


class Labeling(RuleBasedStateMachine):
    """Four labelers, three comparisons of overlap two, two of them in a batch, and what an admin does meanwhile.

    They close, pause, add, remove, and make comparisons gold; gold and repeats are mixed in.
    """

    strengths = {-1, -3}
    overlap = OVERLAP
    stop_when_agreeing: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.project = factories.project(stop_when_agreeing=self.stop_when_agreeing)
        prompt = factories.prompt(self.project)
        self.batch = self.project.batches.create(name="First")
        for number in range(COMPARISONS):
            batch = self.batch if number < IN_BATCH else None
            factories.comparison(prompt, overlap=self.overlap, batch=batch)
        self.labelers = [factories.member(self.project) for _ in range(4)]
        self.acknowledged: dict[UUID, int] = {}
        self.standing: dict[Key, int] = {}  # the model: the strength that was answered
        self.skipped: set[Key] = set()

    def _lease(self, person: int) -> Assignment | None:
        labeler = self.labelers[person]
        mine = Membership.objects.filter(user=labeler).first()
        self.project.refresh_from_db()
        if mine is None:
            with pytest.raises(NotFound):
                queue.lease_next_comparison(project=self.project, labeler=labeler)
            return None
        found = queue.lease_next_comparison(project=self.project, labeler=labeler)
        if not isinstance(found, Assignment):
            assert found.message
            return None
        assert not self.project.is_paused
        assert mine.paused_at is None
        return found

    def _submit(self, assignment: Assignment, uuid: UUID, **answer: Any) -> Judgment:
        verdict = {"ranking": self._ranking(assignment), "strengths": [1], **answer}
        judgment = judging.submit_judgment(assignment=assignment, client_uuid=uuid, **verdict)
        return self._note(judgment)

    def _note(self, judgment: Judgment) -> Judgment:
        self.acknowledged[judgment.client_uuid] = judgment.pk
        self.standing[key_of(judgment)] = judgment.strengths[0]
        return judgment

    def _ranking(self, assignment: Assignment) -> list[list[int]]:
        a, b = assignment.comparison.candidate_ids
        return [[b], [a]]

    def _undo(self, person: int) -> Assignment:
        undone = judging.undo_last(project=self.project, labeler=self.labelers[person])
        assert not self._is_paused(person)
        key = key_of(undone.assignment)
        if undone.was_skipped:
            self.skipped.remove(key)
        else:
            del self.standing[key]
        return undone.assignment

    def _is_paused(self, person: int) -> bool:
        self.project.refresh_from_db()
        mine = Membership.objects.filter(user=self.labelers[person], paused_at__isnull=False)
        return self.project.is_paused or mine.exists()

    @rule(person=PEOPLE)
    def lease(self, person):
        self._lease(person)

    @rule(person=PEOPLE)
    def lease_and_submit(self, person):
        if assignment := self._lease(person):
            assert key_of(assignment) not in self.skipped
            is_closed = self.project.comparisons.get(pk=assignment.comparison_id).state == "closed"
            is_counted = assignment.takes_place and not is_closed
            assert self._submit(assignment, uuid4()).is_counted == is_counted

    @rule(person=PEOPLE, mixed_in=st.sampled_from(["gold", "repeat"]))
    def answer_and_get_something_mixed_in(self, person, mixed_in):
        shares = {"gold_share": mixed_in == "gold", "repeat_share": mixed_in == "repeat"}
        Project.objects.filter(pk=self.project.pk).update(**shares)
        if assignment := self._lease(person):
            answered = judging.answer_and_serve(
                labeler=assignment.labeler,
                project_id=self.project.pk,
                assignment_id=assignment.pk,
                answer=Answer(
                    client_uuid=uuid4(), ranking=self._ranking(assignment), strengths=[1]
                ),
            )
            self._note(answered.judgment)

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
                comparison=judgment.comparison_id,
                labeler=judgment.labeler_id,
                is_repeat=judgment.is_repeat,
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
            self.skipped.add(key_of(assignment))

    @rule(person=PEOPLE, data=st.data())
    def undo_a_skip_and_again(self, person, data):
        mine = self.project.assignments.filter(labeler=self.labelers[person], state="skipped")
        if not mine:
            return
        one = data.draw(st.sampled_from(list(mine.order_by("pk"))))
        try:
            opened = skips.undo_skip(assignment=one)
        except (Conflict, NotFound):
            assert Assignment.objects.get(pk=one.pk).state == "skipped"
            return
        assert not self._is_paused(person)
        self.skipped.remove(key_of(one))
        assert skips.undo_skip(assignment=one) == opened == one

    @rule(person=PEOPLE)
    def leave_what_is_open_again(self, person):
        labeler = self.labelers[person]
        mine = self.project.assignments.filter(labeler=labeler, skipped_at__isnull=False)
        opened = list(mine.filter(state="leased", lease_until__gt=timezone.now()))
        skips.leave_opened(project=self.project, labeler=labeler)
        self.skipped |= {key_of(one) for one in opened}

    @rule(person=PEOPLE)
    def undo(self, person):
        with suppress(Conflict, NotFound):
            self._undo(person)

    @rule(person=PEOPLE)
    def revise(self, person):
        with suppress(Conflict, NotFound):
            self._submit(self._undo(person), uuid4(), strengths=[3])

    @rule(is_paused=SELDOM)
    def pause_or_go_on(self, is_paused):
        Project.objects.filter(pk=self.project.pk).update(is_paused=is_paused)

    @rule(person=PEOPLE, is_paused=SELDOM, is_removed=SELDOM)
    def pause_or_remove_a_labeler_or_let_them_go_on(self, person, is_paused, is_removed):
        who = {"project": self.project, "user": self.labelers[person], "role": Role.LABELER}
        if is_removed:
            Membership.objects.filter(**who).delete()
        else:
            at = timezone.now() if is_paused else None
            Membership.objects.update_or_create(**who, defaults={"paused_at": at})

    @rule(data=st.data(), is_swept=st.booleans())
    def a_lease_ends(self, data, is_swept):
        leased = list(self.project.assignments.filter(state="leased").order_by("pk"))
        if leased:
            one = data.draw(st.sampled_from(leased))
            ended = timezone.now() - timedelta(seconds=1)
            Assignment.objects.filter(pk=one.pk).update(lease_until=ended)
            if is_swept:
                queue.expire_leases()

    @rule(state=st.sampled_from(["open", "open", "paused", "closed"]))
    def hold_or_open_the_batch(self, state):
        self.batch = batches.set_state(batch=self.batch, state=state, actor=self.labelers[0])

    @rule(which=WHICH, act=st.sampled_from(["close", "open", "gold", "gold"]))
    def close_or_open_or_make_gold_or_ordinary(self, which, act):
        comparison, actor = self.project.comparisons.order_by("pk")[which], self.labelers[0]
        if act != "gold":
            is_closed = act == "close"
            with suppress(Conflict):  # of gold
                comparisons.set_closed(comparison=comparison, is_closed=is_closed, actor=actor)
        elif comparison.kind == "gold":
            gold.unmark_gold(item=comparison.gold, actor=actor)
        else:
            tiers = [[pk] for pk in comparison.candidate_ids]
            gold.mark_gold(comparison=comparison, known_ranking=tiers, actor=actor)

    @invariant()
    def no_comparison_is_over_filled_and_every_count_is_true(self):
        for row in self.project.comparisons.all():
            standing = row.judgments.filter(withdrawn_at=None, is_counted=True).count()
            held = row.assignments.filter(state="leased", takes_place=True).count()
            assert row.judgments_counted == standing
            assert row.slots_taken == standing + held <= row.overlap
            is_withdrawn = row.state == "closed" and row.kind != "gold"
            assert is_withdrawn or row.state == self._state_by_model(row, standing)

    def _state_by_model(self, row: Comparison, standing: int) -> str:
        if row.kind == "gold":
            return "open"
        if standing == row.overlap or self._have_agreed(row):
            return "judged"
        return "open" if row.batch is None or row.batch.state == "open" else "held"

    def _have_agreed(self, row: Comparison) -> bool:
        said = row.judgments.filter(withdrawn_at=None, is_counted=True)
        rankings = [str(one) for one in said.values_list("ranking", flat=True)]
        enough = self.stop_when_agreeing
        return enough is not None and len(rankings) >= enough and len(set(rankings)) == 1

    @invariant()
    def nobody_judges_a_comparison_twice(self):
        standing = self.project.judgments.filter(withdrawn_at=None)
        pairs = Counter(map(key_of, standing))
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
        assert {key_of(one): one.strengths[0] for one in rows} == self.standing


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
def test_nothing_is_lost_and_nothing_over_filled_whatever_labelers_do(machine, monkeypatch):
    monkeypatch.setattr(claims, "REPEAT_AFTER", 0)
    chosen = settings(
        max_examples=20,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)
