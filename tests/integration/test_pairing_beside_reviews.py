"""A review is reversed while its text is paired: one of the two has its way, and nobody meets an error."""

from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import reverse

from annotation.comparisons.models import Comparison
from annotation.comparisons.services import pairing, storing
from annotation.core.errors import Conflict
from annotation.demonstrations.models import Demonstration
from annotation.demonstrations.selectors import latest_version
from annotation.demonstrations.services import asking, reviewing, writing
from annotation.generation.models import Candidate
from annotation.projects.models import Role
from annotation.prompts.models import PromptImport
from tests import factories
from tests.integration.test_importing_judgments import lines, take
from tests.waiting import beside

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin():
    return factories.member(factories.project(), Role.ADMIN)


@pytest.fixture
def row(admin) -> Demonstration:
    """An approved text beside another candidate of its prompt."""
    project = admin.memberships.get().project
    factories.candidate(factories.prompt(project))
    asking.ask_to_write(project=project, wanted=asking.PromptFilter(), per_prompt=1, actor=admin)
    row = writing.lease_next(project=project, author=factories.member(project))
    row = writing.submit(demonstration=row, client_uuid=uuid4(), text="A good response.")
    version = latest_version(row).pk
    return reviewing.approve(demonstration=row, reviewer=admin, version=version)


@pytest.fixture
def reversed_meanwhile(row, admin, monkeypatch) -> None:
    """The review is reversed after pairing has read the candidates and before it stores anything."""
    sets_of = pairing.candidate_sets

    def candidate_sets(ids, strategy):
        beside(lambda: reviewing.reverse(demonstration=row, actor=admin)).result()
        return sets_of(ids, strategy)

    monkeypatch.setattr(pairing, "candidate_sets", candidate_sets)


@pytest.mark.usefixtures("reversed_meanwhile")
def test_a_text_that_went_meanwhile_is_not_compared(api, row, admin):
    api.force_authenticate(admin)
    answer = api.post(reverse("api-comparison-pair", args=[row.project_id]), {}, format="json")
    assert answer.status_code == 200
    assert answer.json() == {"made": 0, "prompts_waiting": 0}
    assert not Candidate.objects.filter(pk=row.candidate_id).exists()
    assert not Comparison.objects.exists()


@pytest.mark.usefixtures("reversed_meanwhile")
def test_the_page_answers_when_a_text_went_meanwhile(client, row, admin):
    client.force_login(admin)
    answer = client.post(reverse("comparisons-pair", args=[row.project_id]))
    assert answer.status_code == 302
    assert not Comparison.objects.exists()


def test_a_reversal_waits_for_the_pairing_of_its_text_and_is_refused_after_it(row, admin):
    with transaction.atomic():
        assert len(pairing.pair_candidates(project=row.project, prompt=row.prompt)) == 1
        reversal = beside(lambda: reviewing.reverse(demonstration=row, actor=admin))
        assert not reversal.done()
    with pytest.raises(Conflict, match="in a comparison already"):
        reversal.result()


def test_an_import_that_compares_a_text_which_goes_meanwhile_takes_the_text_anew(
    row, admin, monkeypatch
):
    asked, seen = storing.held, []

    def held(ids):
        if not seen:
            seen.extend(ids)
            beside(lambda: reviewing.reverse(demonstration=row, actor=admin)).result()
        return asked(ids)

    monkeypatch.setattr(storing, "held", held)
    responses = {"response_a": "A good response.", "response_b": "Another."}
    prompt = {"prompt": row.prompt.turns[-1]["content"]}
    project = row.project
    taken = take(lines(prompt | responses), PromptImport.Contents.COMPARISONS, project=project)
    assert (taken.rows_created, taken.rows_rejected) == (1, 0)
    compared = Comparison.objects.get()
    assert row.candidate_id in seen
    assert row.candidate_id not in compared.candidate_ids
    assert sorted(one.text for one in compared.candidates) == sorted(responses.values())
