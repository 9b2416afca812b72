"""Setting a project up: the steps save as one goes, the estimate follows, the last button begins."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Judgment
from annotation.comparisons.pace import labels_by_day
from annotation.comparisons.services import queue
from annotation.comparisons.services.overlap import is_in_overlap
from annotation.generation.models import GenerationRun, RunGroup, SamplingPlan
from annotation.generation.services import request_candidates
from annotation.overview.estimate import estimate, plan_of
from annotation.overview.steps import KEYS, arranged
from annotation.projects.models import Membership, Project, Role
from annotation.projects.selectors import roles_of
from annotation.projects.services import projects
from annotation.projects.services.rubric import Aspect
from annotation.prompts.models import PromptImport
from annotation.registry.models import ModelVersion
from annotation.registry.services import promote
from tests import factories

pytestmark = pytest.mark.django_db
LABELS = {
    "overlap": 3,
    "overlap_share": "12",
    "serving_order": "breadth_first",
    "gold_share": "5",
    "repeat_share": "5",
    "agreement_target": "0.7",
    "deadline": "",
}


@pytest.fixture
def project() -> Project:
    return projects.create_project(name="New", actor=factories.user(is_staff=True))


@pytest.fixture
def admin(project, client):
    client.force_login(project.created_by)
    return client


def address(project: Project, step: str) -> str:
    return reverse("overview-setup-step", args=[project.pk, step])


def asked_by(project: Project) -> set[ModelVersion]:
    """The policies of the plan."""
    return set(SamplingPlan.objects.get(project=project).policies.all())


def aspects_of(project: Project) -> list[str]:
    return list(project.criteria.values_list("name", flat=True))


def test_a_new_project_leads_to_its_set_up_with_the_starting_overlap(admin):
    answer = admin.post(reverse("projects-new"), {"name": "Fresh", "description": ""}, follow=True)
    made = Project.objects.get(name="Fresh")
    assert answer.redirect_chain[-1][0] == address(made, "prompts")
    assert (made.overlap, made.overlap_share) == (3, 0.12)


@pytest.mark.parametrize("step", KEYS)
def test_every_step_opens_with_the_estimate_beside_it(admin, project, step):
    page = admin.get(address(project, step))
    assert page.status_code == 200
    assert "What this comes to" in page.content.decode()


def test_a_step_that_is_none_is_a_page_that_says_so(admin, project):
    assert admin.get(address(project, "paint")).status_code == 404


def test_a_button_saves_and_goes_where_it_says(admin, project):
    answer = admin.post(address(project, "labels"), {**LABELS, "go": "rubric"})
    assert answer["Location"] == address(project, "rubric")
    project.refresh_from_db()
    assert (project.overlap_share, project.gold_share) == (0.12, 0.05)


def test_a_deadline_is_saved_and_the_audit_keeps_what_it_became(admin, project):
    sent = {**LABELS, "deadline": "2099-03-01T12:00"}
    assert admin.post(address(project, "labels"), sent).status_code == 302
    event = AuditEvent.objects.get(verb="project.changed")
    assert event.data["deadline"] == [None, "2099-03-01T12:00:00Z"]
    trail = admin.get(reverse("projects-audit", args=[project.pk])).text
    assert f"project {project.pk}" in trail
    assert "deadline: – → 2099-03-01T12:00:00Z" in trail


def test_a_deadline_in_the_past_is_kept_and_told(admin, project):
    sent = {**LABELS, "deadline": "1999-03-01T12:00"}
    page = admin.post(address(project, "labels"), sent, follow=True).text
    assert "The deadline, 1 Mar 1999, has passed already" in page
    assert "This is in the past: labelers read" in admin.get(address(project, "labels")).text
    project.refresh_from_db()
    assert project.deadline.year == 1999


def test_a_number_beyond_the_limits_is_told_with_both(admin, project):
    sent = {**LABELS, "overlap": "99999", "gold_share": "130"}
    page = admin.post(address(project, "labels"), sent).text
    assert "This is 99999; at most" in page
    assert "Ensure this value" not in page


def test_what_is_wrong_stays_on_the_page_with_what_was_typed(admin, project):
    answer = admin.post(address(project, "labels"), {**LABELS, "gold_share": "130"})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "This is 130 %; it lies from 0 to 100 %." in page
    assert 'value="130"' in page


def test_gold_and_repeats_leave_most_of_the_work_to_count(admin, project):
    answer = admin.post(
        address(project, "labels"), {**LABELS, "gold_share": "30", "repeat_share": "30"}
    )
    assert "together are 60%" in answer.content.decode()
    project.refresh_from_db()
    assert project.gold_share == 0


def test_a_change_is_saved_at_once_and_the_estimate_answers(admin, project):
    sent = {**LABELS, "overlap": 5}
    side = admin.post(address(project, "labels"), sent, headers={"HX-Request": "true"})
    assert "Saved at" in side.content.decode()
    assert "that 5 people judge" in side.content.decode()
    assert "<html" not in side.content.decode()
    project.refresh_from_db()
    assert project.overlap == 5


def test_what_the_settings_refuse_stays_in_their_form(admin, project):
    shown = admin.get(reverse("projects-settings", args=[project.pk])).context["form"]
    sent = {name: shown[name].value() or "" for name in shown.fields}
    sent |= {"gold_share": "30", "repeat_share": "30", "name": "Kept as typed"}
    answer = admin.post(reverse("projects-settings", args=[project.pk]), sent)
    assert answer.status_code == 400
    assert "together are 60%" in answer.text
    assert "Kept as typed" in answer.text


def kept_in(answer) -> dict[str, str]:
    """What a page of settings, or what is put into one that is open, keeps of how it was opened."""
    hidden = r'<input type="hidden" name="(initial-\w+)"(?: value="([^"]*)")?'
    return {name: unescape(value) for name, value in re.findall(hidden, answer.text)}


def sent_from(answer) -> dict[str, str]:
    """What a browser sends from this page of settings where nothing is typed."""
    shown = {one.name: one.value() for one in answer.context["form"]}
    if deadline := shown.get("deadline"):
        shown["deadline"] = deadline.strftime("%Y-%m-%dT%H:%M")
    return kept_in(answer) | {name: value for name, value in shown.items() if value}


def test_two_pages_of_settings_change_only_what_each_was_typed_in(admin, project):
    projects.update_settings(
        project=project,
        actor=project.created_by,
        description="Old\nlines",
        deadline=datetime(2099, 3, 1, 12, 0, 30, tzinfo=UTC),
        is_paused=True,
    )
    url = reverse("projects-settings", args=[project.pk])
    first = second = sent_from(admin.get(url))
    admin.post(url, first | {"description": "From A", "overlap": "5"})
    answer = admin.post(url, second | {"min_reading_seconds": "1", "is_paused": ""})
    assert answer.status_code == 302
    project.refresh_from_db()
    assert (project.description, project.overlap) == ("From A", 5)
    assert (project.min_reading_seconds, project.is_paused) == (1, False)
    assert project.deadline.second == 30
    assert AuditEvent.objects.latest("pk").data.keys() == {"min_reading_seconds", "is_paused"}


def test_two_who_set_up_change_only_what_each_types_and_an_open_page_goes_on(admin, project):
    url = address(project, "labels")
    first = second = sent_from(admin.get(url))

    def autosaved(sent):
        side = admin.post(url, sent, headers={"HX-Request": "true"})
        project.refresh_from_db()
        return side

    autosaved(first | {"overlap": "5"})
    for share in ("7", "8"):
        second |= {"gold_share": share}
        second |= kept_in(side := autosaved(second))
        assert "Saved at" in side.text
        assert (project.overlap, project.gold_share) == (5, float(share) / 100)
    second |= {"overlap": "4"}
    second |= kept_in(side := autosaved(second))
    assert "changed this to: 5." in side.text
    assert project.overlap == 5
    assert "Saved at" in autosaved(second).text
    assert project.overlap == 4


def test_a_setting_changed_meanwhile_is_told_with_both_values_and_put_by_a_second_save(
    admin, project
):
    project.deadline = datetime(2099, 3, 1, 12, tzinfo=UTC)
    project.save()
    url = reverse("projects-settings", args=[project.pk])
    sent = sent_from(admin.get(url)) | {"answer_scale": "two", "description": "Mine"}
    projects.update_settings(
        project=project, actor=project.created_by, answer_scale="three", description="Theirs"
    )
    answer = admin.post(url, sent)
    assert answer.status_code == 400
    assert "changed this to: Theirs." in answer.text
    assert "changed this to: Three: better, about the same, worse." in answer.text
    assert ">\nMine</textarea>" in answer.text
    project.refresh_from_db()
    assert (project.answer_scale, project.description) == ("three", "Theirs")
    kept = 'name="initial-description" value="Theirs"'
    assert kept in answer.text
    again = {"initial-description": "Theirs", "initial-answer_scale": "three"}
    assert admin.post(url, sent | again).status_code == 302
    project.refresh_from_db()
    assert (project.answer_scale, project.description) == ("two", "Mine")


@pytest.mark.parametrize("page", ["settings", "setup"])
def test_a_guideline_published_meanwhile_is_read_beside_the_typed_one(admin, project, page):
    url = reverse("projects-guideline", args=[project.pk])
    url = address(project, "guideline") if page == "setup" else url
    sent = {"text": "# Mine", "from_version": "1"}
    projects.publish_guideline(project=project, text="# Theirs", actor=project.created_by)
    answer = admin.post(url, sent)
    assert "Version 2 was published while you wrote." in answer.text
    assert "<pre># Theirs</pre>" in answer.text
    assert "# Mine</textarea>" in answer.text
    assert project.guidelines.latest("version").text == "# Theirs"
    assert 'name="from_version" value="2"' in answer.text
    assert admin.post(url, sent | {"from_version": "2"}).status_code == 302
    assert project.guidelines.latest("version").text == "# Mine"


def begun_with(answer) -> dict[str, str]:
    """What a page of the guideline keeps of the text that it was opened with."""
    hidden = r'<input type="hidden" name="(from_\w+)" value="([^"]*)"'
    return dict(re.findall(hidden, answer.text))


def test_two_who_write_the_first_guideline_do_not_overwrite_each_other_unread(admin, project):
    url = address(project, "guideline")
    first = second = begun_with(admin.get(url))
    auto = {"HX-Request": "true"}
    side = admin.post(url, first | {"text": "# Theirs\r\nA"}, headers=auto)
    first |= begun_with(side)
    assert "Saved at" in admin.post(url, first | {"text": "# Theirs\r\nA, B"}, headers=auto).text

    side = admin.post(url, second | {"text": "# Mine"}, headers=auto)
    assert "<li>Somebody changed the guideline while you wrote." in side.text
    assert begun_with(side) == {}
    page = admin.post(url, second | {"text": "# Mine"})
    assert page.status_code == 400
    assert "Version 1, changed meanwhile" in page.text
    assert "<pre># Theirs\nA, B</pre>" in page.text
    assert "# Mine</textarea>" in page.text
    assert project.guidelines.get().text == "# Theirs\nA, B"
    assert admin.post(url, begun_with(page) | {"text": "# Mine"}).status_code == 302
    assert project.guidelines.get().text == "# Mine"


def test_a_guideline_that_two_change_alike_is_no_quarrel(admin, project):
    url = address(project, "guideline")
    sent = begun_with(admin.get(url)) | {"text": "# Same"}
    admin.post(url, sent)
    assert admin.post(url, sent).status_code == 302


def test_line_ends_of_a_browser_publish_no_version(admin, project):
    project.guidelines.update(text="# One\nTwo")
    factories.judgment(factories.comparison(factories.prompt(project)))
    url = address(project, "guideline")
    sent = begun_with(admin.get(url)) | {"text": "# One\r\nTwo"}
    assert admin.post(url, sent).status_code == 302
    assert project.guidelines.count() == 1


def test_two_who_choose_responses_change_only_what_each_types(admin, project):
    shown, theirs, other = [factories.policy(project, name=name) for name in "cab"]
    plan = factories.sampling_plan(project, shown)
    url = address(project, "responses")
    first = second = sent_from(admin.get(url))
    both = {"policies": [shown.pk, theirs.pk]}
    assert admin.post(url, first | both | {"per_prompt": "6"}).status_code == 302
    side = admin.post(url, second | {"temperature": "0.5"}, headers={"HX-Request": "true"})
    assert "Saved at" in side.text
    plan.refresh_from_db()
    assert (asked_by(project), plan.per_prompt, plan.temperature) == ({shown, theirs}, 6, 0.5)

    second |= kept_in(side)
    plan.policies.set([other, theirs])
    page = admin.post(url, second | {"temperature": "0.5", "policies": []})
    assert page.status_code == 400
    assert f"changed this to: {other}, {theirs}." in page.text
    assert asked_by(project) == {other, theirs}
    assert admin.post(url, second | kept_in(page) | {"policies": []}).status_code == 302
    assert asked_by(project) == set()


def test_what_is_refused_keeps_every_box_that_was_ticked(admin, project):
    ticked = [factories.policy(project) for _ in range(2)]
    factories.policy(project)
    factories.sampling_plan(project)
    url = address(project, "responses")
    sent = sent_from(admin.get(url)) | {"policies": [one.pk for one in ticked]}
    projects.update_settings(project=project, actor=project.created_by, pairing="ring")
    page = admin.post(url, sent | {"pairing": "one_ranking"})
    assert "somebody changed this to:" in page.text
    assert set(page.context["form"]["policies"].value()) == {str(one.pk) for one in ticked}
    assert page.text.count(" checked") == 2


def test_the_first_save_of_responses_keeps_what_is_shown(admin, project):
    """The page was opened when no policy was registered."""
    url = address(project, "responses")
    sent = sent_from(admin.get(url))
    factories.policy(project)
    admin.post(url, sent)
    assert asked_by(project) == set()


def test_the_start_counts_the_prompts(admin, project):
    factories.prompt(project)
    assert "none yet" not in admin.get(address(project, "start")).text.partition("Responses")[0]


def test_the_responses_step_keeps_a_plan_that_the_start_carries_out(admin, project):
    policy = factories.policy(project)
    factories.prompt(project)
    sent = {"policies": policy.pk, "per_prompt": 4, "temperature": 0.9, "max_tokens": 64}
    admin.post(address(project, "responses"), {**sent, "pairing": "ring"})
    assert SamplingPlan.objects.get(project=project).per_prompt == 4
    admin.post(reverse("overview-setup-start", args=[project.pk]), {"is_labeling": "on"})
    run = GenerationRun.objects.get(project=project)
    assert (run.per_prompt, run.temperature, run.max_tokens) == (4, 0.9, 64)
    assert run.group is None
    assert Role.LABELER in roles_of(project.created_by, project.pk)


def begun_by(admin, project: Project) -> str:
    """What the button of the last step answers."""
    return unescape(
        admin.post(reverse("overview-setup-start", args=[project.pk]), follow=True).text
    )


def test_a_plan_of_two_policies_begins_a_run_of_each_and_tells_both(admin, project):
    base, tuned = [factories.policy(project, name=name) for name in ("base", "tuned")]
    factories.prompt(project)
    sent = {"policies": [base.pk, tuned.pk], "per_prompt": 1, "temperature": 0, "max_tokens": 64}
    answer = admin.post(address(project, "responses"), {**sent, "pairing": "auto"})
    assert answer.status_code == 302
    assert (
        "1 each from tuned v1, base v1 at temperature" in admin.get(address(project, "start")).text
    )
    page = begun_by(admin, project)
    assert (
        "tuned v1 answers 1 prompts, base v1 answers 1 prompts; comparisons appear as all" in page
    )
    first, second = GenerationRun.objects.filter(project=project, status="queued")
    assert {first.policy, second.policy} == {base, tuned}
    assert first.group == second.group is not None


def test_a_policy_that_was_retired_meanwhile_is_named_and_all_are_asked(admin, project):
    base, tuned = [factories.policy(project, name=name) for name in ("base", "tuned")]
    factories.prompt(project)
    promote(version=base, actor=None)
    factories.sampling_plan(project, base, tuned)
    promote(version=tuned, actor=None)
    assert "base v1 is retired" in admin.get(address(project, "start")).text
    assert "base v1 is retired, and is asked as planned." in begun_by(admin, project)
    assert GenerationRun.objects.filter(status="queued").count() == 2


def test_where_one_policy_cannot_be_asked_any_more_none_is(admin, project):
    server = factories.server_by_an_admin(project, name="served")
    served = factories.policy(project, **server)
    factories.sampling_plan(project, factories.policy(project), served)
    two = factories.prompt(project)
    for _ in range(2):
        factories.candidate(two)
    Membership.objects.filter(user=server["created_by"]).delete()
    page = begun_by(admin, project)
    assert "served v1 lies on a server that nobody who is admin of this project now" in page
    assert not GenerationRun.objects.exists()
    assert not project.comparisons.exists()


def test_a_policy_that_has_answered_all_is_named_and_the_other_begins(admin, project):
    base, tuned = [factories.policy(project, name=name) for name in ("base", "tuned")]
    prompt = factories.prompt(project)
    run = request_candidates(project=project, policy=base, actor=None)
    run.outcomes.create(prompt=prompt, candidates=2)
    GenerationRun.objects.update(status="done")
    factories.sampling_plan(project, base, tuned)
    page = begun_by(admin, project)
    assert "base v1 has answered every prompt in this way already." in page
    assert "tuned v1 answers 1 prompts" in page


def test_a_second_start_asks_nobody_twice_and_says_so(admin, project):
    base, tuned = [factories.policy(project, name=name) for name in ("base", "tuned")]
    factories.prompt(project)
    factories.sampling_plan(project, base)
    begun_by(admin, project)
    first = GenerationRun.objects.get()
    project.sampling_plan.policies.add(tuned)
    page = begun_by(admin, project)
    assert f"base v1 is being asked in this way already, by generation run {first.pk}" in page
    assert "tuned v1 answers 1 prompts" in page
    page = begun_by(admin, project)
    assert "tuned v1 is being asked in this way already" in page
    assert GenerationRun.objects.count() == 2


def test_a_run_of_some_prompts_keeps_no_start_from_asking_all(admin, project):
    policy = factories.policy(project)
    factories.prompt(project)
    request_candidates(project=project, policy=policy, max_prompts=1, actor=None)
    factories.sampling_plan(project, policy)
    begun_by(admin, project)
    assert GenerationRun.objects.filter(max_prompts=0).count() == 1


def test_a_start_of_several_policies_without_prompts_says_so_once(admin, project):
    factories.sampling_plan(project, *[factories.policy(project) for _ in range(2)])
    page = begun_by(admin, project)
    assert page.count("This project has no prompts yet; import some first.") == 1
    assert not RunGroup.objects.exists()


def test_more_than_can_be_compared_is_refused_with_the_sum(admin, project):
    policies = [factories.policy(project).pk for _ in range(3)]
    sent = {"policies": policies, "per_prompt": 22, "temperature": 1, "max_tokens": 64}
    page = admin.post(address(project, "responses"), {**sent, "pairing": "auto"}).text
    assert "22 responses of each of 3 policies are 66 a prompt; at most 64 are compared." in page
    policies = [factories.policy(project).pk for _ in range(10)]
    sent |= {"policies": policies, "per_prompt": 1}
    page = admin.post(address(project, "responses"), {**sent, "pairing": "auto"}).text
    assert "10 policies are chosen; at most 9 are compared." in page
    assert not SamplingPlan.objects.exists()


def test_the_start_pairs_the_responses_that_wait(admin, project):
    prompt = factories.prompt(project)
    factories.candidate(prompt)
    factories.candidate(prompt)
    answer = admin.post(reverse("overview-setup-start", args=[project.pk]), follow=True)
    assert "Comparisons made: 1." in answer.content.decode()


def test_a_start_without_anything_to_compare_says_what_lacks(admin, project):
    answer = admin.post(reverse("overview-setup-start", args=[project.pk]), follow=True)
    assert "There is nothing to compare yet" in answer.content.decode()


def test_the_policy_of_another_project_cannot_be_planned(admin, project):
    policy = factories.policy(factories.project())
    sent = {"policies": policy.pk, "per_prompt": 2, "temperature": 1, "max_tokens": 64}
    answer = admin.post(address(project, "responses"), {**sent, "pairing": "auto"})
    assert answer.status_code == 400
    assert not SamplingPlan.objects.exists()


def test_a_file_is_imported_and_the_set_up_goes_on(admin, project):
    file = SimpleUploadedFile("p.jsonl", b'{"text": "Why?"}\n')
    sent = {"file": file, "contents": "prompts", "row_form": "auto", "go": "responses"}
    answer = admin.post(address(project, "prompts"), sent)
    assert answer["Location"] == address(project, "responses")
    assert PromptImport.objects.get(project=project).filename == "p.jsonl"


def test_the_first_step_says_what_an_import_left_unused(admin, project):
    PromptImport.objects.create(
        project=project, filename="mine.jsonl", status="done", unused_columns=["responses"]
    )
    page = admin.get(address(project, "prompts")).content.decode()
    assert "<b>mine.jsonl</b>: These columns are not used: responses." in page
    assert "import it as “Responses to compare" in page


def test_prompts_that_are_there_need_no_file(admin, project):
    assert admin.post(address(project, "prompts"), {}).status_code == 302


def test_an_import_without_a_file_says_what_to_do(admin, project):
    answer = admin.post(address(project, "prompts"), {"act": "import"})
    assert answer.status_code == 400
    assert "Choose a file first." in answer.content.decode()


def test_a_spreadsheet_is_told_to_be_saved_as_csv(admin, project):
    file = SimpleUploadedFile("table.xlsx", b"PK")
    answer = admin.post(address(project, "prompts"), {"act": "import", "file": file})
    assert "is a spreadsheet; save the table in it as CSV" in answer.content.decode()


def test_an_import_under_way_is_told_of_until_it_is_over(admin, project):
    row = PromptImport.objects.create(
        project=project,
        filename="big.jsonl",
        status="running",
        rows_read=1_500,
        progress_total=6_000,
        rows_created=1_400,
        rows_rejected=100,
    )
    imports = reverse("overview-setup-imports", args=[project.pk])
    polled = f'hx-get="{imports}?step=prompts"'
    assert polled in admin.get(address(project, "prompts")).content.decode()
    factories.prompt(project)
    part = admin.get(imports, {"step": "prompts"})
    page = part.content.decode()
    assert polled in page
    assert "Import more, or continue." not in page
    assert '<progress value="1500" max="6000"' in page
    assert "1,500 of 6,000" in page
    assert f'<a href="{reverse("prompts-import", args=[project.pk, row.pk])}">100</a>' in page
    assert "HX-Trigger" not in part
    PromptImport.objects.update(status="failed", error="The disk was full.")
    assert "Import more, or continue." not in admin.get(imports, {"step": "start"}).content.decode()
    part = admin.get(imports, {"step": "prompts"})
    assert polled not in part.content.decode()
    assert "1 prompt is here. Import more, or continue." in part.content.decode()
    assert "The disk was full." in part.content.decode()
    assert part["HX-Trigger"] == "imported"


def test_a_start_while_the_only_file_is_imported_says_to_wait_for_it(admin, project):
    PromptImport.objects.create(project=project, filename="big.jsonl", status="queued")
    answer = admin.post(reverse("overview-setup-start", args=[project.pk]), follow=True)
    page = answer.content.decode()
    assert "big.jsonl is still being imported" in page
    assert ", and an import under way" in page


def test_the_rubric_is_set_moved_and_cut_by_buttons(admin, project):
    names, questions = aspects_of(project), ["A?", "B?", "C?", "D?"]
    rows = {"name": names, "question": questions}
    admin.post(address(project, "rubric"), {**rows, "act": "down-0"})
    assert aspects_of(project) == ["honest", "helpful", "harmless", "concise"]
    names = aspects_of(project)
    admin.post(
        address(project, "rubric"), {"name": names, "question": questions, "act": "remove-2"}
    )
    assert aspects_of(project) == ["honest", "helpful", "concise"]
    admin.post(address(project, "rubric"), {"act": "defaults"})
    assert aspects_of(project) == ["helpful", "honest", "harmless", "concise"]


def test_two_criteria_of_one_name_are_refused_and_stay_typed(admin, project):
    rows = {"name": ["kind", "kind"], "question": ["A?", "B?"]}
    answer = admin.post(address(project, "rubric"), rows)
    assert "named twice" in answer.content.decode()
    assert answer.content.decode().count('value="kind"') == 2
    assert len(aspects_of(project)) == 4


@pytest.mark.parametrize("act", ["up-0", "down-1", "up-99", "remove-x", "paint-1", "up-٣"])
def test_an_act_that_means_nothing_changes_nothing(act):
    rows = [Aspect("a", "?"), Aspect("b", "?")]
    assert arranged(rows, act) == rows


def test_the_guideline_is_changed_in_place_until_somebody_labels(admin, project):
    admin.post(address(project, "guideline"), {"text": "# Mine"})
    assert [one.text for one in project.guidelines.all()] == ["# Mine"]
    factories.judgment(factories.comparison(factories.prompt(project)))
    admin.post(address(project, "guideline"), {"text": "# Ours"})
    assert list(project.guidelines.values_list("version", flat=True)) == [1, 2]


def test_a_preview_shows_the_text_as_labelers_read_it(admin, project):
    answer = admin.post(
        address(project, "guideline"), {"text": "# Big", "act": "preview"}, follow=True
    )
    assert "Big</h" in answer.content.decode()


def test_imported_judgments_leave_the_first_guideline_open_to_change(project, admin):
    factories.judgment(factories.comparison(factories.prompt(project)), is_imported=True)
    for text in ("# Mine", "# Better"):
        admin.post(address(project, "guideline"), {"text": text}, follow=True)
    assert [(one.version, one.text) for one in project.guidelines.all()] == [(1, "# Better")]


def test_the_estimate_counts_labels_hours_and_widths(project):
    """100 prompts of 3 responses: 300 pairs; 12 % at three labels: 300 + 36 · 2 = 372; at 45 s 4.65 hours."""
    factories.prompt(project)
    plan = plan_of(project).changed({"prompts": 100, "per_prompt": 3})
    found = estimate(project, plan)
    assert (found.comparisons, found.labels, found.agreement_items) == (300, 372, 36)
    assert found.hours == pytest.approx(372 * 45 / 3600)
    assert found.win_rate_width.value == pytest.approx(0.0562, abs=1e-3)
    assert found.finish_at is None


def test_without_a_policy_what_has_no_two_responses_is_not_compared(project):
    """Three prompts, one of them with two responses: one comparison, and two more with a policy."""
    bare = [factories.prompt(project) for _ in range(3)]
    for _ in range(2):
        factories.candidate(bare[0])
    assert estimate(project).comparisons == 1
    factories.policy(project)
    assert estimate(project).comparisons == 3
    factories.sampling_plan(project)
    assert estimate(project).comparisons == 1


@pytest.mark.parametrize(
    ("policies", "per_prompt", "pairing", "comparisons", "of_two"),
    [
        (1, 2, "auto", 10, 10),  # as if of two
        (2, 2, "auto", 40, 40),  # each of two with each of the other two
        (2, 2, "all_pairs", 60, 40),  # and two of one policy's own
        (3, 1, "auto", 30, 10),  # three pairs of policies
        (3, 2, "ring", 60, 20),  # six neighbors, all of two policies
        (3, 2, "one_ranking", 10, 10),  # every two meet in it once
    ],
)
def test_the_estimate_counts_what_all_policies_say_and_its_interval_is_of_any_two(
    project, policies, per_prompt, pairing, comparisons, of_two
):
    chosen = {"policies": policies, "per_prompt": per_prompt, "pairing": pairing}
    found = estimate(project, plan_of(project).changed({"prompts": 10, **chosen}))
    assert (found.comparisons, found.win_rate_width.n) == (comparisons, of_two)


def test_comparisons_that_are_there_count_where_two_of_the_plan_meet(admin, project):
    """Of three prompts one is compared: a with b and, of no plan, a with an import; two come with a pair each."""
    a, b = [factories.policy(project, name=name) for name in "ab"]
    prompts = [factories.prompt(project) for _ in range(3)]
    said = [factories.candidate(prompts[0], policy=one) for one in (a, b, None)]
    for pair in (said[:2], said[::2]):
        project.comparisons.create(prompt=prompts[0], candidate_ids=[one.pk for one in pair])
    factories.sampling_plan(project, a, b, per_prompt=1)
    found = estimate(project)
    assert (found.comparisons, found.win_rate_width.n) == (4, 3)
    page = admin.get(address(project, "labels")).text
    assert "for any two of the 2 policies, from 3 comparisons of the two" in page


def test_gold_and_repeats_cost_judgments_and_no_labels(project):
    plan = plan_of(project).changed({"prompts": 100, "gold_share": 0.1, "repeat_share": 0.1})
    found = estimate(project, plan)
    assert (found.labels, found.judgments_left) == (124, 155)


def test_the_estimate_measures_seconds_and_pace_where_there_are_labels(project):
    labeler = factories.member(project)
    prompt = factories.prompt(project)
    for _ in range(21):
        factories.judgment(factories.comparison(prompt), labeler, active_ms=30_000)
    for _ in range(21):
        factories.comparison(prompt)
    project.comparisons.filter(judgments__isnull=False).update(
        judgments_counted=1, slots_taken=1, state="judged"
    )
    found = estimate(project)
    assert (found.seconds, found.seconds_measured_on) == (30, 21)
    assert (found.labels, found.labels_given) == (42, 21)
    assert found.labels_a_day == 21
    assert timezone.now() + timedelta(hours=23) < found.finish_at


@pytest.mark.parametrize("kind", ["machine", "simulated"])
def test_whoever_is_no_person_makes_the_pace_no_faster(project, kind):
    factories.judgment(factories.comparison(factories.prompt(project)), factories.user(kind=kind))
    assert labels_by_day(project) == []


def test_days_of_labeling_give_the_end_an_interval(project):
    labeler, prompt = factories.member(project), factories.prompt(project)
    for ago in range(4):
        for _ in range(3 + ago % 2):
            one = factories.judgment(factories.comparison(prompt), labeler)
            at = timezone.now() - timedelta(days=ago, minutes=1)
            Judgment.objects.filter(pk=one.pk).update(created_at=at)
    found = estimate(project)
    assert found.days.n == 4
    assert found.finish_earliest < found.finish_at < found.finish_latest


@pytest.mark.parametrize(("hours", "is_told"), [(5, False), (30, True)])
def test_an_interval_within_a_day_is_not_told_as_one(project, hours, is_told):
    day = datetime(2026, 12, 6, 9, tzinfo=UTC)
    ends = {"finish_earliest": day, "finish_latest": day + timedelta(hours=hours)}
    found = replace(estimate(project), finish_at=day, labels_a_day=21.0, **ends)
    page = render_to_string("overview/setup/estimate.html", {"estimate": found})
    assert "6 Dec 2026" in page
    assert ("; between 6 Dec and" in page) is is_told


def test_the_api_estimates_any_choice_and_names_one_that_is_wrong(api, project):
    api.force_authenticate(project.created_by)
    url = reverse("api-estimate", args=[project.pk])
    body = api.get(url, {"prompts": 50, "overlap": 2, "overlap_share": 1}).json()
    assert (body["labels"], body["plan"]["overlap"]) == (100, 2)
    answer = api.get(url, {"overlap_share": 12})
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["overlap_share"])
    assert api.get(url, {"gold_share": 0.4, "repeat_share": 0.4}).status_code == 400


def test_the_api_estimates_several_policies(api, project):
    api.force_authenticate(project.created_by)
    url = reverse("api-estimate", args=[project.pk])
    body = api.get(url, {"prompts": 50, "policies": 3, "per_prompt": 1}).json()
    assert (body["plan"]["policies"], body["comparisons"]) == (3, 150)
    assert body["win_rate_width"]["n"] == 50
    answer = api.get(url, {"policies": 3, "per_prompt": 22})
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["per_prompt"])


def test_the_settings_ask_for_the_estimate_of_what_is_typed(admin, project):
    part = admin.get(
        reverse("overview-estimate", args=[project.pk]),
        {"overlap": 4, "overlap_share": "50"},
        headers={"HX-Request": "true"},
    ).content.decode()
    assert "that 4 people judge" in part
    wrong = admin.get(
        reverse("overview-estimate", args=[project.pk]),
        {"overlap_share": "500"},
        headers={"HX-Request": "true"},
    )
    assert "500 %" in wrong.content.decode()
    assert admin.get(reverse("overview-estimate", args=[project.pk])).status_code == 200


def test_a_step_asks_the_database_as_often_for_a_full_project_as_for_an_empty_one(
    admin, project, django_assert_max_num_queries
):
    for _ in range(5):
        factories.judgment(factories.comparison(factories.prompt(project)))
    with django_assert_max_num_queries(26):
        admin.get(address(project, "start"))


def test_the_overlap_of_the_set_up_holds_for_comparisons_that_are_there_already(admin, project):
    rows = [factories.comparison(factories.prompt(project)) for _ in range(4)]
    admin.post(address(project, "labels"), {**LABELS, "overlap_share": "100"})
    kinds = {(row.overlap, row.kind) for row in project.comparisons.all()}
    assert kinds == {(3, "overlap")}
    assert estimate(project).labels == 3 * len(rows)
    admin.post(address(project, "labels"), {**LABELS, "overlap_share": "0"})
    assert {(row.overlap, row.kind) for row in project.comparisons.all()} == {(1, "normal")}


@pytest.mark.parametrize("share", ["0", "12", "37.5", "99.9", "100"])
def test_what_is_there_already_is_drawn_as_what_comes_later(admin, project, share):
    rows = [factories.comparison(factories.prompt(project)) for _ in range(30)]
    admin.post(address(project, "labels"), {**LABELS, "overlap": 4, "overlap_share": share})
    project.refresh_from_db()
    drawn = {row.pk for row in rows if is_in_overlap(project, row.candidate_ids)}
    assert set(project.comparisons.filter(overlap=4).values_list("pk", flat=True)) == drawn


def test_a_draw_is_in_the_audit_and_happens_only_where_the_overlap_changed(admin, project):
    factories.comparison(factories.prompt(project))
    for _ in range(2):
        admin.post(address(project, "labels"), {**LABELS, "overlap_share": "100"})
    drawn = AuditEvent.objects.get(project_id=project.pk, verb="comparisons.redrawn")
    assert drawn.data == {"to_several": 1, "to_one": 0}
    project.comparisons.update(overlap=1, kind="normal")
    admin.post(address(project, "labels"), {**LABELS, "overlap_share": "100"})
    assert project.comparisons.get().overlap == 1


def test_the_start_draws_by_settings_that_were_changed_elsewhere(admin, project):
    factories.comparison(factories.prompt(project))
    projects.update_settings(project=project, actor=project.created_by, overlap=2, overlap_share=1)
    admin.post(reverse("overview-setup-start", args=[project.pk]))
    assert project.comparisons.get().overlap == 2


def test_once_a_comparison_is_handed_out_the_others_keep_their_overlap(admin, project):
    for _ in range(2):
        factories.comparison(factories.prompt(project))
    queue.lease_next_comparison(project=project, labeler=factories.member(project))
    admin.post(address(project, "labels"), {**LABELS, "overlap_share": "100"})
    assert {row.overlap for row in project.comparisons.all()} == {1}


def test_an_overlap_of_its_own_gold_and_batches_stay_as_they_are(admin, project):
    prompt = factories.prompt(project)
    batch = project.batches.create(name="Asked apart")
    factories.comparison(prompt, batch=batch)
    factories.comparison(prompt, overlap=5)
    factories.comparison(prompt, kind="gold")
    admin.post(address(project, "labels"), {**LABELS, "overlap_share": "100"})
    assert sorted(row.overlap for row in project.comparisons.all()) == [1, 1, 5]


def test_an_import_of_the_set_up_says_how_many_rows_were_not_taken_and_leads_to_why(admin, project):
    row = project.imports.create(
        filename="a.jsonl", file_format="jsonl", artifact="0" * 64, status="done", rows_rejected=3
    )
    report = reverse("prompts-import", args=[project.pk, row.pk])
    page = admin.get(address(project, "prompts")).text
    assert f'3 rows of a.jsonl were not taken. <a href="{report}">Which, and why</a>' in page


def test_an_admin_is_led_to_registering_a_policy(admin, project):
    register = reverse("registry-model-new", args=[project.pk])
    assert f'<a href="{register}">register one</a>' in admin.get(address(project, "responses")).text
    factories.candidate(factories.prompt(project))
    page = admin.get(address(project, "responses")).text
    assert f'<a href="{register}">register a policy</a>' in page
    assert "No policy is registered" not in page
