"""What was done to the rubric and the guideline: kept with what was there before, shown, and undone in one act."""

import pytest
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.core.errors import Conflict, NotFound
from annotation.projects.services import projects, rubric
from tests import factories

pytestmark = pytest.mark.django_db
HONEST = {"name": "honest", "title": "Honesty", "question": "Is it true?"}


@pytest.fixture
def project(admin):
    return factories.project()


@pytest.fixture
def admin():
    return factories.user()


@pytest.fixture
def signed_in(client, project, admin):
    project.memberships.create(user=admin, role="admin")
    client.force_login(admin)
    return client


@pytest.fixture
def criterion(project, admin):
    """The second of three."""
    for name in ("helpful", "honest", "concise"):
        rubric.save_criterion(project=project, actor=admin, **{**HONEST, "name": name})
    return project.criteria.get(name="honest")


def newest(project, verb):
    return AuditEvent.objects.filter(project_id=project.pk, verb=verb).latest("pk")


def undo(project, verb, admin):
    return rubric.undo_criterion(project=project, event_id=newest(project, verb).pk, actor=admin)


def changed(project, admin, question="Does it say what is so?", **fields):
    said = {**HONEST, "question": question, **fields}
    return rubric.save_criterion(project=project, actor=admin, **said)


def removed(project, admin):
    rubric.remove_criterion(project=project, name="honest", actor=admin)


def names(project):
    return list(project.criteria.values_list("name", flat=True))


def test_a_removed_criterion_is_kept_whole_and_comes_back_to_its_place(project, admin, criterion):
    removed(project, admin)
    before = {"title": "Honesty", "question": "Is it true?", "position": 1}
    assert newest(project, "criterion.removed").data == {"name": "honest", "before": before}
    back = undo(project, "criterion.removed", admin)
    assert names(project) == ["helpful", "honest", "concise"]
    assert (back.pk, back.title, back.question) == (criterion.pk, "Honesty", "Is it true?")
    assert newest(project, "criterion.restored").object_id == criterion.pk


def test_a_changed_criterion_is_kept_as_it_was_and_is_that_again(project, admin, criterion):
    changed(project, admin, title="Truth")
    assert newest(project, "criterion.changed").data == {
        "name": "honest",
        "before": {"question": "Is it true?", "title": "Honesty"},
        "after": {"question": "Does it say what is so?", "title": "Truth"},
    }
    undo(project, "criterion.changed", admin)
    criterion.refresh_from_db()
    assert (criterion.title, criterion.question) == ("Honesty", "Is it true?")
    undo(project, "criterion.changed", admin)
    criterion.refresh_from_db()
    assert criterion.title == "Truth"


def test_a_title_alone_is_changed_back_with_the_question_as_it_is(project, admin, criterion):
    changed(project, admin, question="Is it true?", title="Truth")
    title_alone = newest(project, "criterion.changed")
    assert title_alone.data["before"] == {"title": "Honesty"}
    changed(project, admin, title="Truth")
    rubric.undo_criterion(project=project, event_id=title_alone.pk, actor=admin)
    criterion.refresh_from_db()
    assert (criterion.title, criterion.question) == ("Honesty", "Does it say what is so?")


def test_saved_as_it_is_nothing_is_audited(project, admin, criterion):
    changed(project, admin, question="Is it true?")
    assert not AuditEvent.objects.filter(verb="criterion.changed").exists()


def test_where_the_rubric_has_moved_on_nothing_is_overwritten(project, admin, criterion):
    changed(project, admin)
    first = newest(project, "criterion.changed")
    changed(project, admin, question="Third?")
    with pytest.raises(Conflict, match="changed again or removed"):
        rubric.undo_criterion(project=project, event_id=first.pk, actor=admin)
    removed(project, admin)
    with pytest.raises(Conflict, match="changed again or removed"):
        undo(project, "criterion.changed", admin)
    rubric.save_criterion(project=project, actor=admin, **HONEST)
    with pytest.raises(Conflict, match="already"):
        undo(project, "criterion.removed", admin)


def test_a_full_rubric_takes_none_back(project, admin, criterion):
    removed(project, admin)
    aspects = [rubric.Aspect(f"c{number}", "Is it?") for number in range(rubric.MOST_CRITERIA)]
    rubric.set_rubric(project=project, aspects=aspects, actor=admin)
    with pytest.raises(Conflict, match="at most 12"):
        undo(project, "criterion.removed", admin)


def test_only_what_this_project_keeps_is_undone(project, admin, criterion):
    removed(project, admin)
    event = newest(project, "criterion.removed")
    with pytest.raises(NotFound):
        rubric.undo_criterion(project=factories.project(), event_id=event.pk, actor=admin)
    added = newest(project, "criterion.added")
    with pytest.raises(NotFound):
        rubric.undo_criterion(project=project, event_id=added.pk, actor=admin)
    AuditEvent.objects.filter(pk=event.pk).update(data={"name": "honest"})  # of an older version
    with pytest.raises(NotFound):
        rubric.undo_criterion(project=project, event_id=event.pk, actor=admin)


def test_the_trail_undoes_it_by_one_button_once(project, admin, criterion, signed_in):
    removed(project, admin)
    trail = reverse("projects-audit", args=[project.pk])
    event = newest(project, "criterion.removed").pk
    address = reverse("projects-criterion-undo", args=[project.pk, event])
    page = signed_in.get(trail).text
    assert f'<form method="post" action="{address}">' in page
    assert "title Honesty, position 1, question Is it true?" in page
    assert "Honesty is as it was before." in signed_in.post(address, follow=True).text
    assert names(project) == ["helpful", "honest", "concise"]
    assert address not in signed_in.get(trail).text
    assert "has a criterion" in signed_in.post(address, follow=True).text


def test_the_trail_tells_first_what_was_and_then_what_became_of_it(
    project, admin, criterion, signed_in
):
    changed(project, admin, question="Is it true?", title="Truth")
    page = signed_in.get(reverse("projects-audit", args=[project.pk])).text
    assert "before: title Honesty; after: title Truth" in page


def test_what_an_older_version_did_not_keep_leads_to_the_rubric(
    project, admin, criterion, signed_in
):
    removed(project, admin)
    AuditEvent.objects.filter(verb="criterion.removed").update(data={"name": "honest"})
    page = signed_in.get(reverse("projects-audit", args=[project.pk]), {"verb": "criterion.rem"})
    assert f'href="{reverse("projects-guideline", args=[project.pk])}">Change it<' in page.text


def test_the_api_undoes_it(project, admin, criterion, signed_in, api):
    changed(project, admin)
    api.force_authenticate(admin)
    trail = api.get(reverse("api-audit-list", args=[project.pk])).json()["results"]
    event = next(one["id"] for one in trail if one["verb"] == "criterion.changed")
    url = reverse("api-criterion-undo", args=[project.pk, event])
    assert api.post(url).json() == {**HONEST, "position": 1}
    assert api.post(url).status_code == 409
    assert api.post(reverse("api-criterion-undo", args=[project.pk, 10**12])).status_code == 404


def test_an_amended_guideline_keeps_the_text_it_had(project, admin, signed_in):
    long = "Be kind. " * 60
    projects.publish_guideline(project=project, text=long, actor=admin)
    projects.amend_guideline(project=project, text="Be brief.", from_text=long, actor=admin)
    data = newest(project, "guideline.amended").data
    assert data == {"version": 1, "before": long, "after": "Be brief."}
    page = signed_in.get(reverse("projects-audit", args=[project.pk])).text
    assert long.strip() in page
    assert "after: Be brief." in page
