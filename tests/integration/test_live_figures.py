"""The figures below the tabs move with each judgment, and are those that a computation over all judgments gives."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from annotation.comparisons.models import Assignment, Judgment
from annotation.comparisons.services import judging, queue
from annotation.core.errors import Conflict, NotFound
from annotation.projects.models import Role
from annotation.quality import (
    gold,
    rules,
    selectors,
    services,
    stored,
    storing,
    tally,
    views,
)
from annotation.quality.models import AgreementReport, AgreementTally
from annotation.quality.report import headline
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments
from annotation.quality.selectors import live_view, view_of
from tests import factories

pytestmark = pytest.mark.django_db
PEOPLE, COMPARISONS = st.integers(0, 3), st.integers(0, 5)


def recomputed(project):
    """The figures as a computation over all judgments has them."""
    scoped = ScopedJudgments(project, Scope())
    return headline(scoped.measured.figures({pk: one.kind for pk, one in scoped.labelers.items()}))


def followed(project):
    """The figures of the live tally; AssertionError where it was not followed."""
    storing.fold_changes(project=project)
    row = tally.fresh(project, headline)
    assert row is not None, "the tally was not moved"
    return row.figures


class Following(RuleBasedStateMachine):
    """Four labelers, one of them a machine, six comparisons, an admin who makes gold, rules and guidelines."""

    def __init__(self) -> None:
        super().__init__()
        self.project = factories.project(overlap=4)
        prompt = factories.prompt(self.project)
        self.admin = factories.member(self.project, Role.ADMIN)
        for size in (2, 2, 2, 2, 2, 3):
            factories.comparison(prompt, size=size, overlap=4)
        self.labelers = [factories.member(self.project) for _ in range(3)]
        machine = factories.user(kind="machine")
        self.project.memberships.create(user=machine, role=Role.LABELER)
        self.labelers.append(machine)
        factories.judgment(self.project.comparisons.first(), self.admin)
        services.catch_up(project=self.project)

    def _comparison(self, which: int) -> Any:
        return self.project.comparisons.order_by("pk")[which]

    def _verdict(self, comparison: Any, data: Any) -> dict[str, Any]:
        ids = data.draw(st.permutations(comparison.candidate_ids))
        tiers = data.draw(st.sampled_from([[[pk] for pk in ids], [sorted(ids)], []]))
        steps = [data.draw(st.integers(1, 3)) for _ in tiers[1:]]
        return {"ranking": tiers, "strengths": steps, "is_all_bad": not tiers}

    @rule(person=PEOPLE, data=st.data())
    def submit(self, person, data):
        found = queue.lease_next_comparison(project=self.project, labeler=self.labelers[person])
        if isinstance(found, Assignment):
            verdict = self._verdict(found.comparison, data)
            judging.submit_judgment(assignment=found, client_uuid=uuid4(), **verdict)

    @rule(person=PEOPLE, data=st.data(), is_revised=st.booleans())
    def undo_or_revise(self, person, data, is_revised):
        try:
            undone = judging.undo_last(
                project=self.project, labeler=self.labelers[person]
            ).assignment
        except (Conflict, NotFound):
            return
        if is_revised:
            verdict = self._verdict(undone.comparison, data)
            judging.submit_judgment(assignment=undone, client_uuid=uuid4(), **verdict)

    @rule(which=COMPARISONS, many=st.integers(1, 4), data=st.data())
    def import_some(self, which, many, data):
        comparison = self._comparison(which)
        for _ in range(many):
            verdict = self._verdict(comparison, data)
            factories.judgment(comparison, is_imported=True, **verdict)

    @rule(person=PEOPLE)
    def exclude(self, person):
        labeler = self.labelers[person]
        if not any(one.labeler_id == labeler.pk for one in rules.rules_of(self.project)):
            rules.save_rule(
                project=self.project,
                kind="exclude",
                params={"labeler": labeler.pk},
                actor=self.admin,
            )

    @rule(which=COMPARISONS)
    def make_gold_or_ordinary(self, which):
        comparison = self._comparison(which)
        if comparison.kind == "gold":
            gold.unmark_gold(item=comparison.gold, actor=self.admin)
        else:
            tiers = [[pk] for pk in comparison.candidate_ids]
            gold.mark_gold(comparison=comparison, known_ranking=tiers, actor=self.admin)

    @rule()
    def a_new_guideline(self):
        version = self.project.guidelines.count() + 1
        if version < 4:
            self.project.guidelines.create(version=version, text="x")

    @rule(which=COMPARISONS)
    def shown_the_other_way_round(self, which):
        comparison = self._comparison(which)
        comparison.judgments.update(shown_order=comparison.candidate_ids[::-1], is_counted=True)

    @invariant()
    def the_figures_are_those_of_a_computation_over_all(self):
        assert followed(self.project) == recomputed(self.project)


def test_whatever_is_judged_the_figures_are_those_of_a_computation_over_all():
    chosen = settings(
        max_examples=6,
        stateful_step_count=15,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # shrinking acts on a database takes minutes
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Following, settings=chosen)


@pytest.fixture
def busy(project):
    """Forty comparisons that four labelers judged, each in a way of their own."""
    people = [factories.user() for _ in range(4)]
    prompt = factories.prompt(project)
    for number in range(40):
        comparison = factories.comparison(prompt, overlap=4)
        a, b = comparison.candidate_ids
        for at, one in enumerate(people):
            ranking = [[a], [b]] if number % (at + 2) else [[b], [a]]
            factories.judgment(comparison, one, ranking=ranking, strengths=[1 + number % 3])
    services.catch_up(project=project)
    return project


@pytest.fixture
def admin(busy, client):
    admin = factories.member(busy, Role.ADMIN)
    client.force_login(admin)
    return admin


def test_many_changes_at_once_are_counted_anew(busy, monkeypatch):
    monkeypatch.setattr(storing, "FOLLOWED_MAX", 10)
    Judgment.objects.filter(project=busy, pk__in=busy.judgments.values("pk")[:30]).update(
        is_counted=False
    )
    storing.fold_changes(project=busy)
    assert AgreementTally.objects.get(project=busy).version is None
    tally.ensure(busy)
    assert followed(busy) == recomputed(busy)


def test_a_deleted_judgment_is_counted_anew(busy):
    busy.judgments.first().delete()
    services.catch_up(project=busy)
    assert followed(busy) == recomputed(busy)


def test_the_project_is_not_read_for_one_more_judgment(busy, monkeypatch):
    known = recomputed(busy)
    factories.judgment(busy.comparisons.first())
    with monkeypatch.context() as patch:
        for name in ("load_columns", "_ROWS"):
            patch.delattr(stored, name)
        assert followed(busy)["judgments"] == known["judgments"] + 1
    assert followed(busy) == recomputed(busy)


def test_an_open_page_gets_the_figures_of_the_newest_judgment(client, admin, busy):
    services.refresh_agreement(project=busy)
    shown = live_view(busy).version
    url = reverse("quality-live", args=[busy.pk])
    asked = {"shown": shown, "state": "full"}
    same = client.get(url, asked).content.decode()
    assert "The figures follow each judgment" in same
    assert "figure-alpha" not in same
    factories.judgment(busy.comparisons.first())
    moved = client.get(url, asked).content.decode()
    assert "161 judgments by 5 labelers" in moved
    assert 'id="value-alpha_ordinal" hx-swap-oob="true"' in moved
    assert f"shown={live_view(busy).version}" in moved
    assert AgreementReport.objects.get(project=busy).judgments_counted == 160


def test_filtered_figures_are_computed_where_a_judgment_came_and_keep_their_filter(
    client, admin, busy, monkeypatch
):
    page = client.get(reverse("quality-agreement", args=[busy.pk]), {"days": 7, "tag": ""}).text
    assert 'hx-trigger="every 5s"' in page
    url = re.search(r'hx-get="([^"]+)"', page)[1].replace("&amp;", "&")
    with monkeypatch.context() as patch:
        patch.delattr(views, "view_of")
        same = client.get(url)
    assert (same.status_code, same.content) == (204, b"")
    factories.judgment(busy.comparisons.first())
    moved = client.get(url).text
    assert "161 judgments by 5 labelers" in moved
    assert 'id="value-alpha_ordinal" hx-swap-oob="true"' in moved
    assert re.search(r'hx-get="([^"]+)"', moved)[1].endswith("&amp;days=7")
    assert client.get(url + "&until=2020-01-01").context["report"]["judgments"] == 0


def test_a_page_of_filtered_figures_that_take_long_asks_seldom(busy, monkeypatch):
    monkeypatch.setattr(selectors, "RESTS", 1e6)
    assert view_of(busy, Scope(days=7), parts=()).every > 1000


def test_a_page_that_said_too_little_is_drawn_anew(client, admin, busy):
    answer = client.get(
        reverse("quality-live", args=[busy.pk]), {"shown": "7777", "state": "rough"}
    )
    assert answer["HX-Retarget"] == "#figures"
    assert "Krippendorff" in answer.content.decode()


def test_tables_of_many_judgments_rest_and_are_rung_for_once(busy, monkeypatch):
    services.refresh_agreement(project=busy)
    AgreementReport.objects.update(seconds=3.0)
    rung = []
    monkeypatch.setattr(services, "ring", lambda *_what, in_seconds: rung.append(in_seconds))
    for _ in range(2):
        factories.judgment(busy.comparisons.first())
        assert services.refresh_agreement(project=busy) is None
    assert [50 < one <= 60 for one in rung] == [True]
    assert followed(busy)["judgments"] == 162
