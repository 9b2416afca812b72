"""The preview in the set-up: the labeler's page with what is typed, of the project's own texts; nothing is written."""

import pytest
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Assignment, Judgment
from annotation.projects.models import Project
from annotation.projects.services import projects
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return projects.create_project(name="New", actor=factories.user(is_staff=True))


@pytest.fixture
def admin(project, client):
    client.force_login(project.created_by)
    return client


def address(project: Project, step: str) -> str:
    return reverse("overview-setup-preview", args=[project.pk, step])


def seen(admin, project: Project, step: str, **typed: object) -> str:
    answer = (
        admin.post(address(project, step), typed) if typed else admin.get(address(project, step))
    )
    assert answer.status_code == 200
    return answer.content.decode()


def own_comparison(project: Project, size: int = 2):
    prompt = factories.prompt(project, "How long does rice cook?")
    policy = factories.policy(project, name="secret-model")
    texts = ("Twelve minutes.", "An hour.", "Ask **again**.")[:size]
    made = [factories.candidate(prompt, one, source="policy", policy=policy) for one in texts]
    return project.comparisons.create(prompt=prompt, candidate_ids=[one.pk for one in made])


def test_the_first_comparison_of_the_project_is_shown_without_its_models(admin, project):
    own_comparison(project)
    factories.comparison(factories.prompt(project, "A later one?"))
    page = seen(admin, project, "rubric")
    assert "Your first comparison." in page
    assert "How long does rice cook?" in page
    assert "Twelve minutes." in page
    assert "A later one?" not in page
    assert "secret-model" not in page


def test_without_a_prompt_it_says_that_all_is_made_up(admin, project):
    assert "A made-up comparison: no prompt is here yet." in seen(admin, project, "prompts")


def test_without_responses_the_first_prompt_has_made_up_ones(admin, project):
    factories.prompt(project, "How long does rice cook?")
    page = seen(admin, project, "answers")
    assert "How long does rice cook?" in page
    assert "the responses are made up" in page


def test_responses_that_wait_to_be_paired_are_shown_with_their_prompt(admin, project):
    prompt = factories.prompt(project)
    factories.candidate(prompt, "Twelve minutes.")
    factories.candidate(prompt, "An hour.")
    page = seen(admin, project, "answers")
    assert "Your first prompt with its responses." in page
    assert "An hour." in page


def test_a_ranking_holds_the_responses_of_all_policies(admin, project):
    project.pairing = "one_ranking"
    project.save()
    factories.sampling_plan(project, *[factories.policy(project) for _ in range(2)])
    assert seen(admin, project, "answers").count("data-candidate") == 4
    policies = list(project.model_versions.values_list("pk", flat=True))
    typed = {"policies": policies, "per_prompt": 3, "pairing": "one_ranking"}
    assert seen(admin, project, "responses", **typed).count("data-candidate") == 6


def test_a_preview_writes_nothing(admin, project):
    own_comparison(project)
    events = AuditEvent.objects.count()
    seen(admin, project, "answers", answer_scale="two", rationale_rule="always")
    seen(admin, project, "rubric", name=["kind"], question=["Which is kinder?"])
    seen(admin, project, "guideline", text="# Other")
    seen(admin, project, "responses", per_prompt=4, pairing="one_ranking")
    project.refresh_from_db()
    assert (project.answer_scale, project.pairing) == ("seven", "auto")
    assert project.criteria.count() == 4
    assert project.guidelines.get().text != "# Other"
    assert AuditEvent.objects.count() == events
    assert not Assignment.objects.exists()
    assert not Judgment.objects.exists()


def test_the_scale_that_is_chosen_is_shown_before_it_is_saved(admin, project):
    page = seen(admin, project, "answers", answer_scale="three", rationale_rule="never")
    assert page.count('name="overall"') == 4  # three answers and both bad
    assert 'name="rationale"' not in page


def test_what_is_wrong_in_the_form_stays_as_it_is_saved(admin, project):
    page = seen(admin, project, "answers", answer_scale="eleven", rationale_rule="never")
    assert page.count('name="overall"') == 8
    assert 'name="rationale"' not in page


def test_a_criterion_is_shown_while_it_is_typed(admin, project):
    rows = {"name": ["kind", "kind", ""], "question": ["Which is kinder?", "Twice?", "No name?"]}
    page = seen(admin, project, "rubric", **rows)
    assert page.count('data-row="criterion-') == 1
    assert 'data-row="criterion-kind"' in page


def test_a_ranking_of_so_many_responses_is_shown_as_one(admin, project):
    own_comparison(project)
    page = seen(admin, project, "responses", per_prompt=5, pairing="one_ranking")
    assert page.count("data-candidate=") == 5
    assert "the responses are made up" in page
    page = seen(admin, project, "responses", per_prompt=5, pairing="all_pairs")
    assert page.count("data-candidate=") == 2
    assert "Your first comparison." in page


def test_a_ranking_that_is_there_is_shown_where_no_policy_is_planned(admin, project):
    own_comparison(project, size=3)
    page = seen(admin, project, "start")
    assert page.count("data-candidate=") == 3
    assert "Your first comparison." in page


def test_a_guideline_is_shown_open_and_cleaned_while_it_is_written(admin, project):
    page = seen(admin, project, "guideline", text="# Mine\n\n<script>alert(1)</script>")
    assert "Mine</h" in page
    assert "<script>alert" not in page
    assert page.split('id="guideline"')[1].split(">")[0].endswith(" open")


def test_it_may_stand_in_a_page_of_this_site_and_sends_no_form(admin, project):
    answer = admin.get(address(project, "rubric"))
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in answer["Content-Security-Policy"]
    assert "form-action 'none'" in answer["Content-Security-Policy"]
    other = admin.get(reverse("overview-setup-step", args=[project.pk, "rubric"]))
    assert other["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("step", ["people", "paint"])
def test_a_step_that_labelers_do_not_see_has_no_preview(admin, project, step):
    assert admin.get(address(project, step)).status_code == 404


def test_its_queries_do_not_grow_with_the_project(admin, project, django_assert_num_queries):
    own_comparison(project)
    seen(admin, project, "rubric")
    with django_assert_num_queries(9):
        seen(admin, project, "rubric")
    for _ in range(20):
        factories.comparison(factories.prompt(project))
    with django_assert_num_queries(9):
        seen(admin, project, "rubric")


def test_a_guideline_that_was_labeled_under_is_published_when_the_step_is_left_and_not_before(
    admin, project
):
    factories.judgment(factories.comparison(factories.prompt(project)))
    step = reverse("overview-setup-step", args=[project.pk, "guideline"])
    admin.post(step, {"text": "# Half"}, headers={"HX-Request": "true"})
    assert project.guidelines.count() == 1
    admin.post(step, {"text": "# Half of it"})
    assert project.guidelines.latest("version").text == "# Half of it"
