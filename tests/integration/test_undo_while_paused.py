"""While the project or a labeler is paused, what they judged stays: it could not be judged anew."""

from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.models import Assignment
from annotation.comparisons.services import judging, queue
from annotation.core.errors import Conflict
from annotation.projects.models import Membership, Project
from tests import factories

pytestmark = pytest.mark.django_db
PAUSES = {
    "project": lambda: Project.objects.update(is_paused=True),
    "archive": lambda: Project.objects.update(is_archived=True),
    "labeler": lambda: Membership.objects.update(
        paused_at=timezone.now(), pause_reason="Read version 3 first."
    ),
}


@pytest.fixture
def judgment(project, labeler):
    row = factories.comparison(factories.prompt(project))
    held = queue.lease_next_comparison(project=project, labeler=labeler)
    assert isinstance(held, Assignment)
    tiers = [[pk] for pk in row.candidate_ids]
    return judging.submit_judgment(
        assignment=held, client_uuid=uuid4(), ranking=tiers, strengths=[1]
    )


@pytest.fixture(params=PAUSES)
def paused(request, judgment):
    PAUSES[request.param]()


@pytest.mark.usefixtures("paused")
def test_what_was_judged_is_not_withdrawn(client, project, labeler, judgment):
    client.force_login(labeler)
    url = reverse("api-judgment-undo", args=[project.pk])
    for body in ({}, {"client_uuid": str(judgment.client_uuid)}):
        answer = client.post(url, body, content_type="application/json")
        assert answer.status_code == 409
        assert "Your judgment stays as it is." in answer.text
    judgment.refresh_from_db()
    assert judgment.withdrawn_at is None


@pytest.mark.usefixtures("paused")
def test_the_page_offers_no_undo(client, project, labeler):
    client.force_login(labeler)
    page = client.get(reverse("comparisons-label", args=[project.pk])).text
    assert "Nothing to judge right now" in page
    assert "data-can-undo" not in page
    assert "data-undo>" not in page.partition("<template")[0]


def test_a_paused_labeler_reads_why(project, labeler, judgment):
    PAUSES["labeler"]()
    with pytest.raises(Conflict, match=r"stays as it is\. An admin .* Read version 3 first"):
        judging.undo_sent(project=project, labeler=labeler, client_uuid=judgment.client_uuid)


def test_undone_again_after_the_lease_ended_nothing_is_open(project, labeler, judgment):
    sent = {"project": project, "labeler": labeler, "client_uuid": judgment.client_uuid}
    opened = judging.undo_sent(**sent)
    assert judging.undo_sent(**sent) == opened
    Assignment.objects.update(lease_until=timezone.now())
    assert judging.undo_sent(**sent) is None


@pytest.mark.usefixtures("judgment")
def test_the_page_offers_undo_where_nobody_is_paused(client, project, labeler):
    client.force_login(labeler)
    assert "data-can-undo" in client.get(reverse("comparisons-label", args=[project.pk])).text
