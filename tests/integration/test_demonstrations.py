"""Demonstrations: asked for by an admin, written by one person, reviewed by a second, kept whatever happens."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from annotation.comparisons.models import Judgment
from annotation.comparisons.services import queue
from annotation.core.errors import Conflict, Forbidden, InvalidInput, LeaseLost
from annotation.demonstrations.models import Demonstration, Opening, Version
from annotation.demonstrations.selectors import latest_version, progress_of
from annotation.demonstrations.services import asking, reviewing, writing
from annotation.demonstrations.services.asking import PromptFilter
from annotation.generation.models import Candidate
from annotation.projects.models import Project, Role
from tests import factories

pytestmark = pytest.mark.django_db
ANY = PromptFilter()


@pytest.fixture
def project() -> Project:
    return factories.project(lease_seconds=900)


@pytest.fixture
def admin(project):
    return factories.member(project, Role.ADMIN)


@pytest.fixture
def author(project):
    return factories.member(project)


def ask(project, admin, prompts=1, per_prompt=1) -> int:
    for _ in range(prompts):
        factories.prompt(project)
    return asking.ask_to_write(project=project, wanted=ANY, per_prompt=per_prompt, actor=admin)


def leased(project, author) -> Demonstration:
    found = writing.lease_next(project=project, author=author)
    assert isinstance(found, Demonstration), found
    return found


def sent(row, text="A good response.") -> Demonstration:
    return writing.submit(demonstration=row, client_uuid=uuid4(), text=text)


def approved(row, reviewer, **fields) -> Demonstration:
    version = latest_version(row).pk
    return reviewing.approve(demonstration=row, reviewer=reviewer, version=version, **fields)


def returned(row, reviewer, note="Name the source.") -> Demonstration:
    version = latest_version(row).pk
    return reviewing.send_back(demonstration=row, reviewer=reviewer, version=version, note=note)


def judged(project, *, is_all_bad=False):
    """A comparison of two, judged once: the first is better, or both are bad."""
    comparison = factories.comparison(factories.prompt(project))
    factories.judgment(comparison, is_all_bad=is_all_bad)
    return comparison


def outlive(row) -> None:
    Demonstration.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timedelta(1))


def test_asking_twice_asks_for_nothing_twice(project, admin):
    assert ask(project, admin, prompts=2, per_prompt=2) == 4
    assert asking.ask_to_write(project=project, wanted=ANY, per_prompt=2, actor=admin) == 0
    assert asking.ask_to_write(project=project, wanted=ANY, per_prompt=3, actor=admin) == 2


def test_prompts_are_chosen_by_tag_and_language(project, admin):
    factories.prompt(project, tags=["math"], language="de")
    factories.prompt(project, tags=["math"], language="en")
    factories.prompt(project, language="de")
    wanted = PromptFilter(tag="math", language="de")
    assert asking.ask_to_write(project=project, wanted=wanted, per_prompt=1, actor=admin) == 1


@pytest.mark.parametrize(("choose", "place"), [("best", 0), ("losing", 1)])
def test_an_edit_is_asked_of_the_best_or_the_losing_candidate(project, admin, choose, place):
    comparison = judged(project)
    asking.ask_to_edit(project=project, wanted=ANY, choose=choose, actor=admin)
    assert project.openings.get().source_id == comparison.candidate_ids[place]


def test_all_bad_prompts_can_be_edited_or_written_anew(project, admin):
    judged(project)
    bad = judged(project, is_all_bad=True)
    assert asking.ask_to_edit(project=project, wanted=ANY, choose="all_bad", actor=admin) == 1
    wanted = PromptFilter(only_all_bad=True)
    assert asking.ask_to_write(project=project, wanted=wanted, per_prompt=1, actor=admin) == 1
    assert set(project.openings.values_list("prompt", flat=True)) == {bad.prompt_id}


def test_nobody_edits_or_is_asked_to_edit_what_a_person_wrote(project, admin, author):
    comparison = judged(project)
    loser = Candidate.objects.get(pk=comparison.candidate_ids[1])
    Candidate.objects.filter(pk=loser.pk).update(source="demonstration", author=author)
    assert asking.ask_to_edit(project=project, wanted=ANY, choose="losing", actor=admin) == 0
    Opening.objects.create(project=project, prompt=comparison.prompt, source=loser)
    found = writing.lease_next(project=project, author=author)
    assert found.reason == writing.EmptyReason.YOURS_DONE


def test_a_reload_leases_the_same_draft_again(project, admin, author):
    ask(project, admin, prompts=2)
    assert leased(project, author) == leased(project, author)


def test_an_edit_starts_from_the_original(project, admin, author):
    judged(project)
    asking.ask_to_edit(project=project, wanted=ANY, choose="losing", actor=admin)
    row = leased(project, author)
    assert (row.kind, row.text) == ("edited", row.source.text)


def test_two_openings_of_one_prompt_go_to_two_people(project, admin, author):
    ask(project, admin, per_prompt=2)
    sent(leased(project, author))
    assert writing.lease_next(project=project, author=author).reason == "yours_done"
    assert leased(project, factories.member(project)).opening.number == 2


def test_every_prompt_is_served_once_before_any_a_second_time(project, admin, author):
    ask(project, admin, prompts=2, per_prompt=2)
    first = leased(project, author)
    second = leased(project, factories.member(project))
    assert first.prompt_id != second.prompt_id


def test_a_prompt_in_another_language_and_a_paused_member_get_nothing(project, admin, author):
    factories.prompt(project, language="de")
    asking.ask_to_write(project=project, wanted=ANY, per_prompt=1, actor=admin)
    membership = project.memberships.get(user=author)
    membership.languages = ["fr"]
    membership.save()
    assert writing.lease_next(project=project, author=author).reason == "yours_done"
    membership.languages, membership.paused_at = ["de"], timezone.now()
    membership.save()
    assert writing.lease_next(project=project, author=author).reason == "you_are_paused"


def test_a_paused_member_does_not_go_on_with_their_draft_until_the_pause_ends(
    project, admin, author
):
    ask(project, admin)
    draft = leased(project, author)
    mine = project.memberships.filter(user=author)
    mine.update(paused_at=timezone.now())
    assert writing.lease_next(project=project, author=author).reason == "you_are_paused"
    mine.update(paused_at=None)
    assert leased(project, author) == draft


@pytest.mark.parametrize(
    ("of_the_prompt", "of_the_author"),
    [("en-US", "en"), ("EN", "en"), ("en", "en-gb"), ("en_GB", "EN")],
)
def test_a_region_makes_no_other_language(project, admin, author, of_the_prompt, of_the_author):
    factories.prompt(project, language=of_the_prompt)
    asking.ask_to_write(project=project, wanted=ANY, per_prompt=1, actor=admin)
    project.memberships.filter(user=author).update(languages=[of_the_author])
    assert leased(project, author).prompt.language == of_the_prompt


def test_why_there_is_nothing_to_write_is_said(project, admin, author):
    assert writing.lease_next(project=project, author=author).reason == "nothing_yet"
    ask(project, admin)
    other = leased(project, factories.member(project))
    assert writing.lease_next(project=project, author=author).reason == "with_others"
    approved(sent(other), admin)
    nothing = writing.lease_next(project=project, author=author)
    assert nothing.reason == "all_written"
    assert "written" in nothing.message


def test_a_saved_draft_renews_the_lease(project, admin, author):
    ask(project, admin)
    row = leased(project, author)
    Demonstration.objects.update(lease_until=timezone.now() + timedelta(seconds=5))
    saved = writing.save_draft(demonstration=row, text="Half a sen\r\ntence")
    assert saved.text == "Half a sen\ntence"
    assert saved.seconds_left > 3_000


def test_a_draft_that_outlived_its_lease_goes_on_while_its_opening_is_free(project, admin, author):
    ask(project, admin)
    row = leased(project, author)
    outlive(row)
    assert writing.expire_drafts() == 1
    assert writing.save_draft(demonstration=row, text="Late.").state == "draft"
    assert row.opening.demonstrations.get().text == "Late."


def test_a_late_text_is_kept_where_another_writes_by_now(project, admin, author):
    ask(project, admin)
    row = leased(project, author)
    outlive(row)
    other = leased(project, factories.member(project))
    assert other.opening_id == row.opening_id
    with pytest.raises(LeaseLost, match="kept in your list"):
        sent(row, "Too late, but mine.")
    row.refresh_from_db()
    assert (row.state, row.text) == ("expired", "Too late, but mine.")


def test_a_replayed_submission_stores_nothing_twice(project, admin, author):
    ask(project, admin)
    row, uuid = leased(project, author), uuid4()
    writing.submit(demonstration=row, client_uuid=uuid, text="Once.")
    returned(row, admin)
    again = writing.submit(demonstration=row, client_uuid=uuid, text="Once.")
    assert again.state == "returned"
    assert Version.objects.count() == 1


def test_a_client_uuid_of_another_demonstration_is_refused(project, admin, author):
    ask(project, admin, prompts=2)
    uuid = uuid4()
    writing.submit(demonstration=leased(project, author), client_uuid=uuid, text="One.")
    second = leased(project, author)
    with pytest.raises(Conflict, match="another demonstration"):
        writing.submit(demonstration=second, client_uuid=uuid, text="Two.")


@pytest.mark.parametrize("text", ["", "  \n ", "\x00 "[1:]])
def test_a_text_without_words_is_refused(project, admin, author, text):
    ask(project, admin)
    with pytest.raises(InvalidInput, match="no text"):
        sent(leased(project, author), text)


def test_an_edit_that_edits_nothing_is_refused(project, admin, author):
    judged(project)
    asking.ask_to_edit(project=project, wanted=ANY, choose="losing", actor=admin)
    row = leased(project, author)
    with pytest.raises(InvalidInput, match="unchanged"):
        sent(row, row.source.text + " \n")


def test_a_text_that_is_too_long_is_refused_with_its_length(project, admin, author):
    ask(project, admin)
    with pytest.raises(InvalidInput, match="100001"):
        sent(leased(project, author), "a" * 100_001)


def test_the_submission_is_bound_to_the_guideline_in_force(project, admin, author):
    ask(project, admin)
    project.guidelines.create(version=1, text="Be kind.")
    project.guidelines.create(version=2, text="Be kind and brief.")
    assert sent(leased(project, author)).guideline.version == 2


def test_a_submission_is_taken_back_until_it_is_reviewed(project, admin, author):
    ask(project, admin)
    row = sent(leased(project, author))
    assert writing.withdraw(demonstration=row).state == "draft"
    approved(sent(row, "Better."), admin)
    with pytest.raises(Conflict, match="approved"):
        writing.withdraw(demonstration=row)


def test_a_skipped_opening_goes_to_another_and_does_not_come_back(project, admin, author):
    ask(project, admin)
    row = leased(project, author)
    writing.skip(demonstration=row, reason="needs_expert")
    assert writing.lease_next(project=project, author=author).reason == "yours_done"
    assert leased(project, factories.member(project)).opening_id == row.opening_id
    with pytest.raises(InvalidInput, match="no reason"):
        writing.skip(demonstration=row, reason="bored")


def test_an_author_never_reviews_their_own_text(project, admin, author):
    project.memberships.create(user=author, role=Role.ADMIN)
    ask(project, admin)
    row = sent(leased(project, author))
    with pytest.raises(Forbidden, match="second person"):
        approved(row, author)
    with pytest.raises(Forbidden, match="second person"):
        returned(row, author)


def test_an_approved_demonstration_becomes_a_candidate_of_its_author(project, admin, author):
    ask(project, admin)
    row = approved(sent(leased(project, author), "Ideal."), admin)
    candidate = row.candidate
    assert (candidate.source, candidate.author, candidate.text) == (
        "demonstration",
        author,
        "Ideal.",
    )
    assert row.opening.state == "done" or Opening.objects.get().state == "done"


def test_a_reviewer_approves_with_changes_and_both_texts_are_kept(project, admin, author):
    ask(project, admin)
    row = approved(sent(leased(project, author), "Ideel."), admin, text="Ideal.")
    assert row.candidate.text == "Ideal."
    texts = row.versions.order_by("pk").values_list("text", "written_by")
    assert list(texts) == [("Ideel.", author.pk), ("Ideal.", admin.pk)]


def test_a_returned_text_stays_with_its_author_and_is_sent_again(project, admin, author):
    ask(project, admin)
    row = returned(sent(leased(project, author)), admin)
    assert writing.lease_next(project=project, author=factories.member(project)).reason == (
        "with_others"
    )
    row = writing.save_draft(demonstration=row, text="With its source.")
    assert (row.state, row.review_note) == ("returned", "Name the source.")
    assert approved(sent(row, "With its source."), admin).candidate.text == "With its source."


def test_a_return_needs_a_note(project, admin, author):
    ask(project, admin)
    row = sent(leased(project, author))
    with pytest.raises(InvalidInput, match="what to mend"):
        returned(row, admin, note=" ")


def test_a_text_sent_meanwhile_is_not_approved_unseen(project, admin, author):
    ask(project, admin)
    row = sent(leased(project, author))
    seen = latest_version(row).pk
    sent(writing.withdraw(demonstration=row), "Another text.")
    with pytest.raises(Conflict, match="meanwhile"):
        reviewing.approve(demonstration=row, reviewer=admin, version=seen)


def test_a_review_is_reversed_and_its_candidate_goes(project, admin, author):
    ask(project, admin)
    row = approved(sent(leased(project, author)), admin)
    row = reviewing.reverse(demonstration=row, actor=admin)
    assert (row.state, row.candidate, row.reviewer) == ("submitted", None, None)
    assert not Candidate.objects.exists()
    assert progress_of(project).submitted == 1


def test_a_review_stands_once_its_candidate_is_compared_or_frozen(project, admin, author):
    ask(project, admin)
    row = approved(sent(leased(project, author)), admin)
    Demonstration.objects.update(frozen_at=timezone.now())
    with pytest.raises(Conflict, match="snapshot"):
        reviewing.reverse(demonstration=row, actor=admin)
    Demonstration.objects.update(frozen_at=None)
    comparison = factories.comparison(row.prompt)
    comparison.candidate_ids = sorted([*comparison.candidate_ids, row.candidate_id])
    comparison.save()
    with pytest.raises(Conflict, match="comparison"):
        reviewing.reverse(demonstration=row, actor=admin)


def test_words_that_a_policy_said_before_stay_the_policys_candidate(project, admin, author):
    ask(project, admin)
    row = leased(project, author)
    said = factories.candidate(row.prompt, "The same words.", source="policy")
    row = approved(sent(row, "The same words."), admin)
    assert row.candidate == said
    reviewing.reverse(demonstration=row, actor=admin)
    assert Candidate.objects.get().source == "policy"


def test_a_returned_text_that_is_worked_on_is_not_taken_from_its_author(project, admin, author):
    ask(project, admin)
    row = returned(sent(leased(project, author)), admin)
    writing.save_draft(demonstration=row, text="Under way.")
    with pytest.raises(Conflict, match="works on it"):
        reviewing.reverse(demonstration=row, actor=admin)


def test_an_admin_frees_what_an_author_does_not_finish(project, admin, author):
    ask(project, admin)
    row = returned(sent(leased(project, author), "Half."), admin)
    reviewing.release(demonstration=row, actor=admin)
    other = leased(project, factories.member(project))
    row.refresh_from_db()
    assert (row.state, row.text, other.opening_id) == ("expired", "Half.", row.opening_id)


def test_an_opening_is_closed_and_put_back_but_not_under_a_writer(project, admin, author):
    ask(project, admin)
    opening = project.openings.get()
    asking.set_closed(opening=opening, is_closed=True, actor=admin)
    assert writing.lease_next(project=project, author=author).reason == "nothing_yet"
    asking.set_closed(opening=opening, is_closed=False, actor=admin)
    leased(project, author)
    with pytest.raises(Conflict, match="held"):
        asking.set_closed(opening=opening, is_closed=True, actor=admin)


def test_every_act_is_audited(project, admin, author):
    from annotation.audit.models import AuditEvent

    ask(project, admin)
    row = returned(sent(leased(project, author)), admin)
    row = approved(sent(row, "Mended."), admin)
    reviewing.reverse(demonstration=row, actor=admin)
    verbs = AuditEvent.objects.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == [
        "demonstrations.asked",
        "demonstration.submitted",
        "demonstration.returned",
        "demonstration.submitted",
        "demonstration.approved",
        "demonstration.review_reversed",
    ]


def is_served(project, candidate, person) -> bool:
    """Whether a comparison of the candidate is leased to them; there is no other."""
    comparison = factories.comparison(candidate.prompt)
    comparison.candidate_ids = sorted([comparison.candidate_ids[0], candidate.pk])
    comparison.save()
    found = queue.lease_next_comparison(project=project, labeler=person)
    return not isinstance(found, queue.EmptyQueue)


def test_nobody_judges_what_they_wrote(project, admin, author):
    ask(project, admin)
    row = approved(sent(leased(project, author)), admin)
    assert not is_served(project, row.candidate, author)
    assert not Judgment.objects.exists()


def test_nobody_judges_what_they_reviewed_into_its_form(project, admin, author):
    ask(project, admin)
    reviewer = factories.member(project)
    row = approved(sent(leased(project, author)), reviewer, text="Better words.")
    assert not is_served(project, row.candidate, reviewer)


def test_who_approves_a_text_as_it_is_may_judge_it(project, admin, author):
    ask(project, admin)
    reviewer = factories.member(project)
    row = approved(sent(leased(project, author)), reviewer)
    assert is_served(project, row.candidate, reviewer)


def test_nobody_judges_a_text_that_another_wrote_too(project, admin, author):
    ask(project, admin, per_prompt=2)
    second = factories.member(project)
    first = approved(sent(leased(project, author)), admin)
    again = approved(sent(leased(project, second)), admin)
    assert again.candidate == first.candidate
    assert not is_served(project, again.candidate, second)
