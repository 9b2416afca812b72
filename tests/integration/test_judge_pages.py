"""Pages and API of machine judges: the constitution as a text, the report that says unfit, the runs."""

import pytest
from django.test import Client

from annotation.judges.models import Constitution, Hearing, Judge, JudgeRun, RevisionRun
from annotation.judges.services.appointing import appoint_judge, publish_constitution
from annotation.judges.texts import principles_from, text_of
from annotation.projects.models import Role
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(engineer):
    client = Client()
    client.force_login(engineer)
    return client


@pytest.fixture
def judge(project, engineer):
    principles = [{"title": "Kind", "text": "Be kind."}]
    publish_constitution(project=project, principles=principles, actor=engineer)
    model = factories.policy(project)
    return appoint_judge(project=project, name="Judge", model=model, actor=engineer)


def swayed(judge, count):
    """Hearings in which the judge chose what stood first, in both orders."""
    for _ in range(count):
        comparison = factories.comparison(factories.prompt(judge.project))
        one, other = comparison.candidate_ids
        said = {"repeat": 0, "verdict": "first", "said": "A <script>"}
        answers = [{"first": one, "second": other, **said}, {"first": other, "second": one, **said}]
        Hearing.objects.create(
            judge=judge, comparison=comparison, outcome="swayed", answers=answers
        )


def test_a_constitution_is_written_as_a_text(client, project):
    page = f"/projects/{project.pk}/constitution/"
    assert "Helpful: Prefer" in client.get(page).content.decode()
    answer = client.post(page, {"principles": "Kind: Be\r\nkind.\r\n\r\nTrue: Say what is so."})
    assert answer.status_code == 302
    assert Constitution.objects.get().principles == [
        {"title": "Kind", "text": "Be kind."},
        {"title": "True", "text": "Say what is so."},
    ]
    client.post(page, {"principles": "Kind: Be kinder."})
    shown = client.get(page).content.decode()
    assert "<del>− Kind: Be kind.</del>" in shown
    assert "<ins>+ Kind: Be kinder.</ins>" in shown


def test_a_paragraph_without_a_title_is_named(client, project):
    page = f"/projects/{project.pk}/constitution/"
    answer = client.post(page, {"principles": "Kind: Be kind.\n\nNo title here"})
    assert answer.status_code == 400
    assert "Paragraph 2 has no title" in answer.content.decode()


def test_more_than_one_empty_line_between_two_principles_is_one_too_many_for_nobody():
    text = "Kind: Be kind.\n\n\n \nTrue: Say what is so."
    assert [one["title"] for one in principles_from(text)] == ["Kind", "True"]


def test_a_paragraph_without_a_title_is_quoted_by_its_first_line(client, project):
    page = f"/projects/{project.pk}/constitution/"
    said = client.post(page, {"principles": "No title\r\nover two lines"}).content.decode()
    assert "It begins with “No title”." in said


def test_a_judge_is_appointed_under_a_version_that_is_named(client, project, judge):
    page = client.get(f"/projects/{project.pk}/judges/new/").content.decode()
    assert ">Version 1</option>" in page


def test_the_text_of_principles_reads_back_the_same():
    principles = [{"title": "A", "text": "One: two."}, {"title": "B", "text": "Three."}]
    assert principles_from(text_of(principles)) == principles


def test_a_judge_is_appointed_and_sent_to_work_on_its_page(client, project, judge):
    fields = {"name": "Second", "model": judge.model_id, "constitution": judge.constitution_id}
    fields |= {"style": "reasons", "temperature": 0, "repeats": 1, "max_tokens": 0, "seed": 17}
    answer = client.post(f"/projects/{project.pk}/judges/new/", fields)
    second = Judge.objects.get(name="Second")
    assert answer["Location"].endswith(f"/judges/{second.pk}/")
    assert second.max_tokens == 512
    factories.comparison(factories.prompt(project))
    client.post(f"{answer['Location']}hear/", {"wanted": "all", "max_comparisons": 0})
    run = JudgeRun.objects.get()
    assert (run.judge, run.progress_total) == (second, 1)
    assert "hx-get" in client.get(answer["Location"]).content.decode()
    client.post(f"/projects/{project.pk}/judge-runs/{run.pk}/cancel/")
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_a_refused_wish_is_told_beside_its_field(client, project, judge):
    page = f"/projects/{project.pk}/judges/{judge.pk}/"
    nothing = client.post(f"{page}hear/", {"wanted": "judged", "max_comparisons": 0})
    assert nothing.status_code == 400
    assert "no comparison that people have judged" in nothing.content.decode()
    none = client.post(f"{page}revise/", {"max_candidates": 0, "max_tokens": 9, "temperature": 1})
    assert "no candidate of a policy" in none.content.decode()
    assert not RevisionRun.objects.exists()


def test_the_page_says_unfit_and_why(client, project, judge):
    swayed(judge, 30)
    text = client.get(f"/projects/{project.pk}/judges/{judge.pk}/").content.decode()
    assert "Unfit as a labeler." in text
    assert "It mostly chooses what stands first." in text
    assert "unfit" in client.get(f"/projects/{project.pk}/judges/").content.decode()


def test_what_it_said_is_shown_as_text(client, project, judge):
    swayed(judge, 1)
    text = client.get(f"/projects/{project.pk}/judges/{judge.pk}/hearings/").content.decode()
    assert "A &lt;script&gt;" in text
    other = client.get(f"/projects/{project.pk}/judges/{judge.pk}/hearings/?outcome=unparsed")
    assert "ended so" in other.content.decode()


def test_the_api_walks_from_a_constitution_to_a_report(api, project, engineer):
    api.force_authenticate(engineer)
    root = f"/api/v1/projects/{project.pk}/"
    principles = [{"title": "Kind", "text": "Be kind."}]
    made = api.post(f"{root}constitution/", {"principles": principles}, format="json")
    assert (made.status_code, made.json()["version"]) == (201, 1)
    sent = {"name": "Judge", "model": factories.policy(project).pk}
    judge = api.post(f"{root}judges/", sent, format="json").json()
    assert judge["constitution_version"] == 1
    swayed(Judge.objects.get(), 30)
    report = api.get(f"{root}judges/{judge['id']}/report/").json()
    assert report["fitness"]["state"] == "unfit"
    assert report["same_in_both_orders"]["value"] == 0.0
    assert report["hearings"]["swayed"] == 30
    hearing = api.get(f"{root}judges/{judge['id']}/hearings/").json()["results"][0]
    assert [one["verdict"] for one in hearing["answers"]] == ["first", "first"]
    run = api.post(f"{root}judges/{judge['id']}/runs/", {"wanted": "judged"}, format="json")
    assert run.status_code == 409


def test_a_judge_of_another_project_is_not_found(api, project, engineer, judge):
    elsewhere = factories.project()
    factories.member(elsewhere, Role.ENGINEER)
    stranger = factories.member(elsewhere, Role.ENGINEER)
    api.force_authenticate(stranger)
    root = f"/api/v1/projects/{elsewhere.pk}/"
    assert api.get(f"{root}judges/{judge.pk}/").status_code == 404
    assert api.get(f"{root}judges/{judge.pk}/report/").status_code == 404
    sent = {"name": "Mine", "model": judge.model_id}
    assert api.post(f"{root}judges/", sent, format="json").status_code == 404
