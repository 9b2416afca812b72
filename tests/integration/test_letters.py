"""Admins read one letter for a candidate everywhere, and beside what labelers wrote how theirs map to it."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.letters import letters_of, own_letters, verdict_in_signs, verdict_text
from annotation.comparisons.models import Assignment, Judgment
from annotation.core.errors import InvalidInput
from annotation.generation.models import Candidate
from annotation.projects.models import Project, Role
from annotation.quality import adjudication, disputes, gold, services
from annotation.quality.adjudication import Verdict
from tests import factories
from tests.integration.test_gold_and_exam import marked

pytestmark = pytest.mark.django_db
MAPPED = "Their A is B here."


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


@pytest.fixture
def comparison(project, labeler):
    """Shown the other way round to one labeler, who finds the second candidate much better, which is their A."""
    row = factories.comparison(factories.prompt(project), overlap=9)
    first, second = row.candidate_ids
    served(row, labeler, [second, first], ranking=[[second], [first]], rationale="B is wrong.")
    return row


def served(comparison, labeler, shown, **fields):
    assignment = Assignment.objects.create(
        project=comparison.project,
        comparison=comparison,
        labeler=labeler,
        shown_order=shown,
        lease_until=timezone.now(),
        state=Assignment.State.SUBMITTED,
        is_training=fields.pop("is_training", False),
    )
    return factories.judgment(
        comparison, labeler, assignment=assignment, shown_order=shown, strengths=[3], **fields
    )


def page(user, name, *keys):
    client = Client()
    client.force_login(user)
    answer = client.get(reverse(name, args=keys))
    assert answer.status_code == 200
    return answer.content.decode()


def adjudicated(comparison, admin):
    first, second = comparison.candidate_ids
    return adjudication.adjudicate(
        comparison=comparison,
        cause="labeler_error",
        verdict=Verdict(ranking=[[first], [second]], strengths=[3]),
        actor=admin,
    )


def appealed(made, labeler, subject="adjudication"):
    return disputes.open_dispute(
        project=made.project, labeler=labeler, subject=subject, subject_id=made.pk, text="A it is."
    )


def test_a_verdict_has_the_same_letters_on_every_page_of_admins(project, admin, comparison):
    services.refresh_agreement(project=project)
    key = (project.pk, comparison.pk)
    told = "B much better than A"
    assert told in page(admin, "quality-comparison", *key)
    assert told in page(admin, "comparisons-detail", *key)
    assert told in page(admin, "quality-items", project.pk)


def test_beside_what_a_labeler_wrote_stands_how_their_letters_map(project, admin, comparison):
    services.refresh_agreement(project=project)
    key = (project.pk, comparison.pk)
    assert page(admin, "quality-comparison", *key).count(MAPPED) == 1
    assert page(admin, "comparisons-detail", *key).count(MAPPED) == 1
    assert page(admin, "quality-items", project.pk).count(MAPPED) == 1


def test_no_mapping_stands_where_the_letters_are_the_same_or_nothing_was_written(project, admin):
    row = factories.comparison(factories.prompt(project), overlap=9)
    first, second = row.candidate_ids
    served(row, factories.member(project), [first, second], rationale="B is wrong.")
    served(row, factories.member(project), [second, first])
    factories.judgment(row, factories.member(project), rationale="Imported: no order is known.")
    assert "is B here" not in page(admin, "quality-comparison", project.pk, row.pk)


def test_a_flag_tells_how_the_letters_of_its_labeler_map(project, admin, labeler, comparison):
    project.flags.create(comparison=comparison, labeler=labeler, note="B is cut.")
    key = (project.pk, comparison.pk)
    assert MAPPED in page(admin, "comparisons-flags", project.pk)
    assert page(admin, "comparisons-detail", *key).count(MAPPED) == 2  # the rationale, the flag
    assert page(admin, "quality-comparison", *key).count(MAPPED) == 2


def test_a_flag_on_a_repeat_maps_the_letters_of_the_repeat(project, admin, labeler, comparison):
    Assignment.objects.create(
        project=project,
        comparison=comparison,
        labeler=labeler,
        is_repeat=True,
        shown_order=comparison.candidate_ids,
        lease_until=timezone.now(),
    )
    project.flags.create(comparison=comparison, labeler=labeler, note="B is cut.")
    assert "is B here" not in page(admin, "comparisons-flags", project.pk)


def test_a_dispute_is_told_in_the_letters_of_its_reader(project, admin, labeler, comparison):
    appealed(adjudicated(comparison, admin), labeler)
    told = page(admin, "quality-disputes", project.pk)
    assert "was decided: A much better than B" in told
    assert f"{labeler.username} had said:</b> B much better than A" in told
    for one in comparison.candidates.all():
        assert one.text in told
    assert told.count(MAPPED) == 1
    assert page(admin, "quality-comparison", project.pk, comparison.pk).count(MAPPED) == 2
    own = page(labeler, "quality-my-work", project.pk)
    assert "was decided: B ››› A" in own
    assert "Decided: B ››› A. You said: A ››› B." in own
    assert " here." not in own
    appeals = own.partition('id="appeals"')[2].partition('id="latest"')[0]
    assert not [one for one in comparison.candidates.all() if one.text in appeals]


def test_the_order_of_the_adjudicated_verdict_is_told_in_letters(project, admin, comparison):
    adjudicated(comparison, admin)
    told = page(admin, "quality-comparison", project.pk, comparison.pk)
    assert "A much better than B.</b>" in told


def test_gold_is_listed_in_letters_and_a_training_answer_in_those_of_its_labeler(
    project, admin, labeler
):
    row = marked(project, admin)
    first, second = row.candidate_ids
    project.exam_attempts.create(labeler=labeler, number=1)
    served(row, labeler, [second, first], ranking=[[second], [first]], is_training=True)
    assert "A &gt; B" in page(admin, "quality-gold", project.pk)
    assert "Known: B &gt; A. You said: A ››› B." in page(labeler, "quality-my-work", project.pk)
    disputes.open_dispute(
        project=project, labeler=labeler, subject="gold", subject_id=row.pk, text="A it is."
    )
    assert MAPPED in page(admin, "quality-disputes", project.pk)


def test_disputes_cost_the_same_however_many(
    project, admin, labeler, client, django_assert_max_num_queries
):
    for _ in range(6):
        row = factories.comparison(factories.prompt(project), overlap=9)
        served(row, labeler, row.candidate_ids[::-1])
        appealed(adjudicated(row, admin), labeler)
    client.force_login(admin)
    with django_assert_max_num_queries(20):
        client.get(reverse("quality-disputes", args=[project.pk]))


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ([11, 12, 13], ""),
        ([12, 11, 13], "Their A, B are B, A here."),
        ([12, 13, 11], "Their A, B, C are B, C, A here."),
        ([], ""),
    ],
)
def test_letters_of_three_are_mapped_where_they_moved(shown, told):
    assert own_letters(shown, [11, 12, 13]) == told


@pytest.mark.parametrize(
    ("size", "tiers", "strengths", "told"),
    [
        (2, [[1], [0]], [1], "B slightly better than A"),
        (2, [[1, 0]], [], "A and B about the same"),
        (2, [], [], "all bad"),
        (3, [[2], [1, 0]], [3], "C ››› A = B"),
        (3, [[2], [1], [0]], [1, 2], "C › B ›› A"),
        (3, [[2, 1, 0]], [], "A, B and C about the same"),
    ],
)
def test_a_verdict_reads_as_a_sentence_or_as_tiers(project, size, tiers, strengths, told):
    row = factories.comparison(factories.prompt(project), size=size)
    ranking = [[row.candidate_ids[place] for place in tier] for tier in tiers]
    said = Judgment(ranking=ranking, strengths=strengths, is_all_bad=not tiers)
    assert verdict_text(said, row) == told


def test_a_scale_without_strengths_just_says_better():
    project = factories.project(answer_scale=Project.AnswerScale.TWO)
    row = factories.comparison(factories.prompt(project))
    said = Judgment(ranking=[[pk] for pk in row.candidate_ids], strengths=[1])
    assert verdict_text(said, row) == "A better than B"


@pytest.mark.parametrize("scale", ["two", "three"])
def test_a_labeler_reads_the_sign_of_a_short_scale_that_was_on_the_screen(
    project, admin, labeler, comparison, scale
):
    Judgment.objects.update(strengths=[1])
    Project.objects.update(answer_scale=scale)
    comparison.refresh_from_db()
    first, second = comparison.candidate_ids
    made = adjudication.adjudicate(
        comparison=comparison,
        cause="labeler_error",
        verdict=Verdict(ranking=[[first], [second]], strengths=[1]),
        actor=admin,
    )
    appealed(made, labeler)
    told = unescape(page(labeler, "quality-my-work", project.pk))
    assert "was decided: B > A" in told
    assert "Decided: B > A. You said: A > B." in told


@pytest.mark.parametrize(
    ("scale", "strength", "told"),
    [("three", 1, "A > B"), ("three", 3, "A > B"), ("five", 1, "A › B"), ("five", 3, "A ››› B")],
)
def test_a_short_scale_tells_no_strength_not_even_one_from_when_it_was_longer(
    scale, strength, told
):
    said = Judgment(ranking=[[1], [2]], strengths=[strength])
    assert verdict_in_signs(said, letters_of([1, 2]), scale=scale) == told


def test_known_answers_are_imported_by_letters_or_numbers(project, admin):
    row = factories.comparison(factories.prompt(project), size=3)
    a, b, c = row.candidate_ids
    assert gold.ranking_from("c > a = B", row.candidate_ids) == [[c], [a, b]]
    assert gold.ranking_from(f"{c} > {a} = B", row.candidate_ids) == [[c], [a, b]]
    with pytest.raises(InvalidInput, match="no D here; the comparison has A, B, C"):
        gold.ranking_from("A > D", row.candidate_ids)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (" A > A", "A stands twice; B is missing."),
        ("A > B = a = A", "A stands 3 times."),
        (" A", "B is missing."),
        ("7 > 7", "7 stands twice; 9 is missing."),
        ("A > 7", "A stands twice; B is missing."),
        ("8 > 9", "There is no 8 here; the comparison has 7, 9."),
        (" ", "There is no answer after the number."),
        (" first ", "'first' is no known answer; "),
    ],
)
def test_what_is_wrong_with_a_known_answer_is_said_in_the_names_that_were_written(text, told):
    with pytest.raises(InvalidInput, match=f"^{re.escape(told)}"):
        gold.ranking_from(text, [7, 9])


def test_what_is_decided_about_their_work_is_told_in_the_language_of_the_labeler(
    admin, labeler, comparison
):
    appealed(adjudicated(comparison, admin), labeler)
    client = Client(headers={"accept-language": "de"})
    client.force_login(labeler)
    told = client.get(reverse("quality-my-work", args=[comparison.project_id])).content.decode()
    assert "wurde entschieden: B ››› A" in told
    assert "Entschieden: B ››› A. Sie sagten: A ››› B." in told


@pytest.mark.parametrize("page", ["comparisons-detail", "quality-comparison"])
def test_admins_see_that_a_response_was_cut(client, project, admin, comparison, page):
    client.force_login(admin)
    url = reverse(page, args=[project.pk, comparison.pk])
    assert "cut at the length limit" not in client.get(url).text
    Candidate.objects.filter(pk=comparison.candidate_ids[0]).update(is_finished=False)
    assert client.get(url).text.count("cut at the length limit") == 1
