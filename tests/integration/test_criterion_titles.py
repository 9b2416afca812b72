"""A criterion may have a title, which people read; its name is what judgments and exports refer to."""

import json
import re
from uuid import uuid4

import pytest
from django.urls import reverse

from annotation.comparisons.models import Assignment, Judgment
from annotation.datasets.services.exporting import FileFormat, Form, judgments_export
from annotation.evaluations.cards import reward
from annotation.generation.models import PlaygroundRun
from annotation.generation.selectors import playground_answers
from annotation.overview.steps import signature
from annotation.projects.models import Role
from annotation.projects.services.rubric import aspects_of
from tests import factories

pytestmark = pytest.mark.django_db
TITLE = "Tells the truth <plainly>"
SHOWN = "Tells the truth &lt;plainly&gt;"


@pytest.fixture
def project():
    project = factories.project(overlap=1, min_reading_seconds=0)
    project.criteria.create(name="honest", title=TITLE, question="Which is more honest?")
    project.criteria.create(name="follows-format", question="Which has the format?")
    return project


@pytest.mark.parametrize("size", [2, 3])
def test_a_labeler_reads_the_title_or_the_name_in_words(client, project, labeler, size):
    factories.comparison(factories.prompt(project), size=size)
    client.force_login(labeler)
    page = client.get(reverse("comparisons-label", args=[project.pk])).text
    assert SHOWN in page
    assert "Follows format" in page
    assert TITLE not in page
    assert ">Honest<" not in page


def test_a_judgment_and_its_export_refer_to_the_name(client, project, labeler):
    comparison = factories.comparison(factories.prompt(project))
    client.force_login(labeler)
    url = reverse("comparisons-label", args=[project.pk])
    client.get(url)
    form = {"assignment": Assignment.objects.get().pk, "client_uuid": str(uuid4())}
    client.post(url, {**form, "overall": "all_bad", "criterion-honest": "tie"})
    honest = {"ranking": [comparison.candidate_ids], "strengths": []}
    assert Judgment.objects.get().criteria == {"honest": honest}
    exported = b"".join(judgments_export(project, form=Form.VOTES).pieces(FileFormat.JSONL))
    assert json.loads(exported)["criteria"].keys() == {"honest"}


def test_admins_read_the_title_where_agreement_names_the_criterion(client, admin, project):
    comparison = factories.comparison(factories.prompt(project))
    first, second = comparison.candidate_ids
    honest = {"honest": {"ranking": [[second], [first]], "strengths": [3]}}
    factories.judgment(comparison, criteria=honest)
    items = reverse("quality-items", args=[project.pk])
    page = client.get(items, {"criterion": "honest"}).text
    assert f"Verdict: {SHOWN}" in page
    assert f'<option value="honest" selected>{SHOWN}</option>' in page
    pages = [items, *(reverse(one, args=[project.pk, comparison.pk]) for one in DETAILS)]
    for page in (client.get(one).text for one in pages):
        assert f"{SHOWN}: B much better than A" in page


DETAILS = ("quality-comparison", "comparisons-detail")


def test_cards_and_the_playground_name_heads_by_their_titles(project):
    share = {"value": 0.7, "interval": [0.6, 0.8], "n": 100, "reason": ""}
    head = {"name": "honest", "accuracy": share, "score_accuracy": share, "trained_on": 300}
    [section] = reward.explained({"criteria": [head]}, {"honest": TITLE})
    assert section.tables[0].rows[0][0] == TITLE

    policy = factories.policy(project)
    run = PlaygroundRun(project=project, policy_ids=[policy.pk])
    run.criterion_scores = {str(policy.pk): {"honest": 0.5, "removed-since": 0.1}}
    [column] = playground_answers(run)
    assert column.criteria == {TITLE: 0.5, "removed-since": 0.1}


def test_a_snapshot_is_asked_for_by_name_under_the_title(client, project):
    client.force_login(factories.member(project, Role.ENGINEER))
    page = client.get(reverse("datasets-new", args=[project.pk])).text
    assert f'<option value="honest">{SHOWN}</option>' in page


def test_the_api_tells_and_changes_titles(api, admin, project):
    url = reverse("api-criterion-list", args=[project.pk])
    sent = {"name": "honest", "question": "Which is truer?"}
    assert api.post(url, sent, format="json").json()["title"] == TITLE
    assert api.post(url, sent | {"title": ""}, format="json").json()["title"] == ""
    assert api.post(url, sent | {"title": "x" * 41}, format="json").status_code == 400
    assert [one["title"] for one in api.get(url).json()] == ["", ""]


def rubric_address(project):
    return reverse("overview-setup-step", args=[project.pk, "rubric"])


def typed(*rows, **more):
    columns = dict(zip(("name", "title", "question"), zip(*rows, strict=True), strict=True))
    return {**columns, **more}


def test_the_set_up_keeps_titles_and_shows_them_as_they_are_typed(client, admin, project):
    sent = typed(("b", "", "B?"), ("honest", "Truer", "Which?"))
    preview = reverse("overview-setup-preview", args=[project.pk, "rubric"])
    assert "Truer" in client.post(preview, sent).text
    assert client.post(rubric_address(project), sent).status_code == 302
    assert aspects_of(project) == [("b", "B?", ""), ("honest", "Which?", "Truer")]
    assert 'value="Truer"' in client.get(rubric_address(project)).text
    start = client.get(reverse("overview-setup-step", args=[project.pk, "start"])).text
    assert "<dd>b, Truer</dd>" in start


def test_the_page_of_the_guideline_rewords_a_criterion_and_keeps_its_title(client, admin, project):
    save = reverse("projects-criterion-save", args=[project.pk])
    client.post(save, {"name": "honest", "title": "", "question": "Which is truer?"})
    assert aspects_of(project)[0] == ("honest", "Which is truer?", TITLE)
    page = client.post(save, {"name": "honest", "title": "New", "question": "Q?"}, follow=True)
    assert '<b>New</b> <code class="small muted">honest</code>' in page.text


def test_a_criterion_that_is_refused_is_told_in_its_form_with_what_was_typed(
    client, admin, project
):
    save = reverse("projects-criterion-save", args=[project.pk])
    typed = {"name": "Bad Name! ü", "title": "Good title", "question": "Which is truer?"}
    page = client.post(save, typed)
    assert page.status_code == 400
    form = page.text.split(f'action="{save}"', 1)[1].split("</form>", 1)[0]
    (name,) = re.findall(r'<input[^>]* value="Bad Name! ü"[^>]*>', form)
    assert ("autofocus" in name, 'aria-invalid="true"' in name) == (True, True)
    assert "A name has letters" in form
    assert 'value="Good title"' in form
    assert 'value="Which is truer?"' in form
    assert "<details open><summary>Add a criterion" in page.text
    assert page.text.count("autofocus") == 1
    assert len(aspects_of(project)) == 2


def test_a_rubric_that_somebody_else_changed_meanwhile_is_not_overwritten_unread(
    client, admin, project
):
    url, opened = rubric_address(project), signature(aspects_of(project))
    assert f'name="opened" id="opened" value="{opened}"' in client.get(url).text
    auto = {"HX-Request": "true"}
    side = client.post(url, typed(("a", "", "A?"), opened=opened), headers=auto).text
    goes_on = signature([("a", "A?", "")])
    assert f'value="{goes_on}" hx-swap-oob' in side
    mine = typed(("b", "", "B?"), opened=opened)
    page = client.post(url, mine)
    assert page.status_code == 400
    assert "somebody changed this to: a." in page.text
    assert 'value="b"' in page.text
    assert aspects_of(project) == [("a", "A?", "")]
    assert client.post(url, mine | {"opened": goes_on}).status_code == 302
    assert aspects_of(project) == [("b", "B?", "")]
