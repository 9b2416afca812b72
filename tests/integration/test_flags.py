"""What labelers flag reaches the admins, who answer it and may open it again; the labeler reads what became of it."""

import pytest
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Assignment, Flag
from annotation.comparisons.services.flagging import flag_comparison, resolve_flag
from annotation.comparisons.services.queue import lease_next_comparison
from annotation.projects.models import Role
from annotation.quality.models import Dispute
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def labeler(project):
    return factories.member(project, username="lea")


@pytest.fixture
def admin(project, client):
    admin = factories.member(project, Role.ADMIN, username="ada")
    client.force_login(admin)
    return admin


@pytest.fixture
def flag(project, labeler) -> Flag:
    factories.comparison(factories.prompt(project, "Which is the capital?"))
    lease = lease_next_comparison(project=project, labeler=labeler)
    return flag_comparison(assignment=lease, note="Both are <b>French</b>.")


def test_a_labeler_is_told_nothing_of_what_others_flagged(project, flag):
    other = Client()
    other.force_login(factories.member(project))
    page = other.get(reverse("overview-project", args=[project.pk])).content.decode()
    assert "Waiting for an answer" not in page


def test_the_same_note_is_one_flag_until_it_is_resolved(project, admin, flag, labeler):
    lease = Assignment.objects.get(labeler=labeler)
    assert flag_comparison(assignment=lease, note=f" {flag.note}") == flag
    resolve_flag(flag=flag, actor=admin, answer="Mended.")
    again = flag_comparison(assignment=lease, note=flag.note)
    assert (again.pk != flag.pk, again.resolved_at) == (True, None)
    assert AuditEvent.objects.filter(verb="comparison.flagged").count() == 2


def test_the_database_keeps_one_open_flag_of_a_note(project, flag):
    note = "\N{FOG}" * 1000  # the longest in bytes
    fields = {"project": project, "comparison_id": flag.comparison_id, "labeler": flag.labeler}
    Flag.objects.create(**fields, note=note, resolved_at=timezone.now())
    Flag.objects.create(**fields, note=note)
    with pytest.raises(IntegrityError, match="a_note_is_flagged_once_while_open"):
        Flag.objects.create(**fields, note=note)


def test_a_flag_whose_note_is_open_anew_is_not_opened_again(project, admin, client, flag, labeler):
    resolve_flag(flag=flag, actor=admin)
    flag_comparison(assignment=Assignment.objects.get(labeler=labeler), note=flag.note)
    told = said(client, at("flag-reopen", project, flag.pk))
    assert "flagged the same again" in told
    assert Flag.objects.filter(resolved_at=None).count() == 1


def at(name, project, *keys):
    return reverse(f"comparisons-{name}", args=[project.pk, *keys])


def said(client, url, **fields):
    """Post and follow; what the next page says."""
    answer = client.post(url, fields, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_admins_see_that_something_was_flagged_and_what(project, admin, client, flag):
    count = 'Flags <span class="tag warn">1'
    assert count in client.get(at("list", project)).content.decode()
    page = client.get(at("flags", project)).content.decode()
    assert "Both are &lt;b&gt;French&lt;/b&gt;." in page
    assert "Which is the capital?" in page
    assert at("detail", project, flag.comparison_id) in page
    for url in (at("detail", project, flag.comparison_id), adjudicate(flag)):
        assert "Both are &lt;b&gt;French" in client.get(url).content.decode(), url


def adjudicate(flag):
    return reverse("quality-comparison", args=[flag.project_id, flag.comparison_id])


def test_the_overview_tells_admins_what_waits_for_an_answer(project, admin, client, flag, labeler):
    row = Dispute.objects.create(
        project=project, labeler=labeler, subject="pause", subject_id=1, text="No."
    )
    overview = reverse("overview-project", args=[project.pk])
    page = client.get(overview).content.decode()
    assert f'<a href="{at("flags", project)}">1 flag</a>' in page
    assert f'<a href="{reverse("quality-disputes", args=[project.pk])}">1 dispute</a>' in page
    said(client, at("flag-resolve", project, flag.pk))
    row.delete()
    assert "Waiting for an answer" not in client.get(overview).content.decode()


def test_the_labeler_reads_what_became_of_a_flag(project, admin, client, flag, labeler):
    told = said(client, at("flag-resolve", project, flag.pk), answer=" The prompt is translated. ")
    assert "lea reads your answer on their page." in told
    theirs = Client()
    theirs.force_login(labeler)
    page = theirs.get(reverse("quality-my-work", args=[project.pk])).content.decode()
    assert "The prompt is translated." in page
    assert "dealt with" in page
    (own,) = theirs.get(reverse("api-my-work", args=[project.pk])).json()["flags"]
    assert (own["answer"], own["id"]) == ("The prompt is translated.", flag.pk)


def test_a_resolved_flag_is_listed_apart_and_can_be_opened_again(project, admin, client, flag):
    said(client, at("flag-resolve", project, flag.pk), answer="Closed it.")
    assert "No open flag" in client.get(at("flags", project)).content.decode()
    resolved = client.get(at("flags", project), {"state": "resolved"}).content.decode()
    assert "Closed it." in resolved
    assert "<b>ada</b>" in resolved
    assert "open again" in said(client, at("flag-reopen", project, flag.pk))
    flag.refresh_from_db()
    assert (flag.resolved_at, flag.resolved_by, flag.answer) == (None, None, "")


def test_the_form_on_a_comparison_leads_back_to_it(project, admin, client, flag):
    url = at("flag-resolve", project, flag.pk)
    answer = client.post(url, {"from": "comparison"})
    assert answer["Location"] == at("detail", project, flag.comparison_id)


def test_a_second_admin_does_not_overwrite_the_answer(project, admin, client, flag):
    url = at("flag-resolve", project, flag.pk)
    said(client, url, answer="First.")
    assert "resolved already" in said(client, url, answer="Second.")
    assert Flag.objects.get().answer == "First."
    said(client, at("flag-reopen", project, flag.pk))
    assert "open already" in said(client, at("flag-reopen", project, flag.pk))


def test_the_trail_has_the_notes_and_undoes_a_resolution(project, admin, client, flag):
    said(client, at("flag-resolve", project, flag.pk), answer="Closed it.")
    kept = dict(AuditEvent.objects.filter(project_id=project.pk).values_list("verb", "data"))
    assert kept["comparison.flagged"]["note"] == "Both are <b>French</b>."
    assert kept["comparison.flagged"]["comparison"] == flag.comparison_id
    assert kept["flag.resolved"] == {"answer": "Closed it."}
    trail = client.get(reverse("projects-audit", args=[project.pk])).content.decode()
    assert f'action="{at("flag-reopen", project, flag.pk)}"' in trail
    said(client, at("flag-reopen", project, flag.pk))
    reopened = AuditEvent.objects.get(verb="flag.reopened")
    assert reopened.data == {"answer": "Closed it."}


def test_flags_over_the_api(project, admin, api, flag):
    api.force_authenticate(admin)
    url = reverse("api-flag-resolve", args=[project.pk, flag.pk])
    assert api.post(url, {"answer": "Done."}).json()["answer"] == "Done."
    assert api.post(url, {"answer": "Twice."}).status_code == 409
    again = api.post(reverse("api-flag-reopen", args=[project.pk, flag.pk]))
    assert (again.json()["answer"], again.json()["resolved_at"]) == ("", None)
    assert api.post(url, {"answer": "a" * 1001}).status_code == 400


@pytest.mark.parametrize("act", ["flag-resolve", "flag-reopen"])
def test_a_flag_of_another_project_is_not_there(admin, project, client, api, act):
    other = factories.project()
    comparison = factories.comparison(factories.prompt(other))
    foreign = Flag.objects.create(
        project=other, comparison=comparison, labeler=factories.user(), note="Theirs."
    )
    assert client.post(at(act, project, foreign.pk)).status_code == 404
    api.force_authenticate(admin)
    url = reverse(f"api-{act}", args=[project.pk, foreign.pk])
    assert api.post(url, {"answer": "a" * 1001}).status_code == 404


def test_a_page_of_flags_costs_the_same_however_many(
    project, admin, client, flag, django_assert_max_num_queries
):
    rows = [
        Flag(project=project, comparison_id=flag.comparison_id, labeler=flag.labeler, note=str(one))
        for one in range(60)
    ]
    Flag.objects.bulk_create(rows)
    with django_assert_max_num_queries(8):
        page = client.get(at("flags", project)).content.decode()
    assert "Page 1 of 2" in page
