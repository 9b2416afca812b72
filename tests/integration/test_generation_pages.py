"""Pages and API of generation: runs, candidates, the playground."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.generation import services
from annotation.generation.models import GenerationRun, PlaygroundRun, PromptOutcome
from tests import factories
from workers import generation
from workers.generators.base import GeneratorFailed, Outcome, Sampled

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer(engineer, client, api):
    client.force_login(engineer)
    api.force_authenticate(engineer)
    return engineer


def a_run(project, engineer, **fields):
    policy = factories.policy(project)
    return services.request_candidates(project=project, policy=policy, actor=engineer, **fields)


def queries_of(client, url):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def body(page):
    return page.content.decode()


def test_the_api_queues_shows_cancels_and_resumes_a_run(api, project, engineer):
    prompt = factories.prompt(project)
    policy = factories.policy(project)
    runs = reverse("api-generation-run-list", args=[project.pk])
    made = api.post(runs, {"policy": policy.pk, "per_prompt": 3}, format="json")
    assert (made.status_code, made.data["status"], made.data["per_prompt"]) == (201, "queued", 3)
    key = [project.pk, made.data["id"]]
    cancelled = api.post(reverse("api-generation-run-cancel", args=key))
    assert cancelled.data["status"] == "cancelled"
    resumed = api.post(reverse("api-generation-run-resume", args=key))
    assert resumed.data["status"] == "queued"
    run = GenerationRun.objects.get(pk=made.data["id"])
    PromptOutcome.objects.create(run=run, prompt=prompt, reason="No.")
    detail = api.get(reverse("api-generation-run-detail", args=key)).data
    assert detail["facts"]["failures"] == 1
    assert detail["failed_prompts"][0]["reason"] == "No."


def test_a_run_tells_which_prompts_the_policy_did_not_read_whole(api, client, project, engineer):
    whole, cut = factories.prompt(project), factories.prompt(project)
    run = a_run(project, engineer)
    PromptOutcome.objects.create(run=run, prompt=whole)
    PromptOutcome.objects.create(run=run, prompt=cut, prompt_tokens_cut=1234)
    key = [project.pk, run.pk]
    detail = api.get(reverse("api-generation-run-detail", args=key)).data
    assert detail["facts"]["prompts_cut"] == 1
    assert detail["cut_prompts"] == [{"prompt": cut.pk, "prompt_tokens_cut": 1234}]
    page = body(client.get(reverse("generation-run", args=key)))
    assert "What was cut" in page
    assert f"Prompt {cut.pk}</a></td><td>1,234</td>" in page
    assert f"Prompt {whole.pk}<" not in page


def test_the_api_names_the_setting_that_is_wrong(api, project, engineer):
    factories.prompt(project)
    runs = reverse("api-generation-run-list", args=[project.pk])
    sent = {"policy": factories.policy(project).pk, "top_p": 7}
    answer = api.post(runs, sent, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["fields"] == {
        "top_p": ["top_p is 7.0; it lies above 0 and up to 1."]
    }


def test_a_policy_of_another_project_is_not_found(api, project, engineer):
    theirs = factories.policy(factories.project())
    runs = reverse("api-generation-run-list", args=[project.pk])
    assert api.post(runs, {"policy": theirs.pk}, format="json").status_code == 404


@pytest.mark.parametrize(
    "name",
    ["api-generation-run-detail", "generation-run", "generation-run-progress"],
)
def test_a_run_of_another_project_is_not_found(api, client, project, engineer, name):
    other = factories.project()
    factories.prompt(other)
    theirs = a_run(other, None)
    browser = api if name.startswith("api") else client
    assert browser.get(reverse(name, args=[project.pk, theirs.pk])).status_code == 404


def test_candidates_of_another_projects_prompt_are_not_found(api, client, project, engineer):
    theirs = factories.candidate(factories.prompt(factories.project())).prompt
    key = [project.pk, theirs.pk]
    assert api.get(reverse("api-candidate-list", args=key)).status_code == 404
    assert client.get(reverse("generation-candidates", args=key)).status_code == 404


def test_the_form_starts_a_run_and_leads_to_it(client, project, engineer):
    factories.prompt(project)
    sent = {"policy": factories.policy(project).pk, "per_prompt": 2, "temperature": 0.8}
    sent |= {"top_p": 1, "max_tokens": 20, "seed": 1, "max_prompts": 0, "pair_after": "on"}
    page = client.post(reverse("generation-run-new", args=[project.pk]), sent, follow=True)
    assert "0 of 1 prompts" in body(page)
    assert "It waits for a gpu worker." in body(page)


def test_the_form_says_at_the_field_what_is_wrong(client, project, engineer):
    factories.prompt(project)
    sent = {"policy": factories.policy(project).pk, "per_prompt": 99, "temperature": 0.8}
    sent |= {"top_p": 1, "max_tokens": 20, "seed": 1, "max_prompts": 0}
    page = client.post(reverse("generation-run-new", args=[project.pk]), sent)
    assert page.status_code == 400
    assert "per_prompt is 99; it lies from 1 to 64." in body(page)


def test_a_run_that_is_over_refreshes_the_page_once(client, project, engineer):
    factories.prompt(project)
    run = a_run(project, engineer)
    part = reverse("generation-run-progress", args=[project.pk, run.pk])
    assert "HX-Refresh" not in client.get(part)
    services.cancel(run=run, actor=engineer)
    assert client.get(part)["HX-Refresh"] == "true"


def test_the_page_of_a_run_lists_what_failed_and_offers_to_resume(client, project, engineer):
    prompt = factories.prompt(project)
    run = a_run(project, engineer)
    services.store_candidates(
        run=run, prompt=prompt, responses=[], reason="The server said <b>no</b>."
    )
    GenerationRun.objects.filter(pk=run.pk).update(status="failed", error="Mend the server.")
    page = body(client.get(reverse("generation-run", args=[project.pk, run.pk])))
    assert "The server said &lt;b&gt;no&lt;/b&gt;." in page
    assert "Mend the server." in page
    assert "Resume with what lacks" in page


def test_candidates_are_shown_with_their_source_and_inert(client, project, engineer):
    prompt = factories.prompt(project)
    run = a_run(project, engineer)
    hostile = services.Response(text="<script>alert(1)</script> **bold**", is_finished=False)
    services.store_candidates(run=run, prompt=prompt, responses=[hostile])
    page = body(client.get(reverse("generation-candidates", args=[project.pk, prompt.pk])))
    assert "<script>alert" not in page
    assert "<strong>bold</strong>" in page
    assert f"{run.policy.name} v1" in page
    assert "cut at the limit" in page


def test_the_list_of_runs_costs_the_same_for_one_and_for_many(client, project, engineer):
    factories.prompt(project)
    url = reverse("generation-runs", args=[project.pk])
    a_run(project, engineer)
    for_one = queries_of(client, url)
    for _ in range(8):
        a_run(project, engineer)
    assert queries_of(client, url) == for_one <= 9


def test_a_prompts_candidates_cost_the_same_for_one_and_for_many(client, project, engineer):
    prompt = factories.prompt(project)
    policy = factories.policy(project)
    url = reverse("generation-candidates", args=[project.pk, prompt.pk])
    factories.candidate(prompt, policy=policy)
    for_one = queries_of(client, url)
    for _ in range(8):
        factories.candidate(prompt, policy=policy)
    assert queries_of(client, url) == for_one <= 10


class Child:
    """Says the lines it was given instead of starting a process."""

    def __init__(self, *lines):
        self.lines = lines

    def __call__(self, tasks, *, hear, **_):
        self.tasks = tasks
        for line in self.lines:
            hear(line)


def sampled(key, text):
    sample = {"text": text, "is_finished": True, "token_count": 2}
    return {"key": str(key), "prompt": key, "samples": [sample]}


def played(project, engineer, **fields):
    return services.request_playground(
        **{
            "project": project,
            "turns": [{"role": "user", "content": "Why?"}],
            "policies": [
                factories.policy(project, name="base"),
                factories.policy(project, name="ppo"),
            ],
            "reward_model": factories.policy(project, kind="reward", name="rm"),
            "actor": engineer,
            **fields,
        }
    )


def test_the_playground_shows_answers_and_rewards_side_by_side(
    client, project, engineer, monkeypatch
):
    run = played(project, engineer)
    base, ppo = run.policy_ids
    scores = {
        "key": "scores",
        "scores": {str(base): -0.5, str(ppo): 1.25},
        "criteria": {str(ppo): {"concise": 2.125}},
        "truncated": [str(ppo)],
    }
    before = sampled(base, "Before\x00") | {"prompt_tokens_cut": 3}
    monkeypatch.setattr(generation.GUEST, "ask", Child(before, sampled(ppo, "After"), scores))
    generation.answer_playground(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error, run.progress_done) == ("done", "", 3)
    page = body(client.get(reverse("generation-playground-run", args=[project.pk, run.pk])))
    assert "Before\ufffd" in page
    assert page.count("highest reward") == 1
    assert "1.250" in page
    assert page.count("longer than the reward model reads") == 1
    assert page.count("it was not shown the first 3 tokens.") == 1
    assert [run.answers[str(one)]["prompt_tokens_cut"] for one in (base, ppo)] == [3, 0]
    assert [run.answers[str(one)]["is_truncated"] for one in (base, ppo)] == [False, True]
    assert "<dt>concise</dt><dd>2.125</dd>" in page


def test_a_playground_run_that_fails_leaves_no_question_on_the_disk(
    project, engineer, monkeypatch, settings, tmp_path
):
    settings.CONCORD_VAR = tmp_path
    run = played(project, engineer)

    def run_child(_tasks, *, folder, **_):
        (folder / "request.json").write_text("Why?")
        raise GeneratorFailed("No memory.")

    monkeypatch.setattr(generation.GUEST, "ask", run_child)
    generation.answer_playground(run.pk)
    run.refresh_from_db()
    assert run.error == "No memory."
    assert list((tmp_path / "playground").iterdir()) == []


def test_a_playground_run_is_cancelled_from_its_page(client, project, engineer, monkeypatch):
    run = played(project, engineer)
    page = reverse("generation-playground-run", args=[project.pk, run.pk])
    address = reverse("generation-playground-cancel", args=[project.pk, run.pk])
    assert address in body(client.get(page))
    assert "It was cancelled" in body(client.post(address, follow=True))
    monkeypatch.setattr(generation.GUEST, "ask", Child(sampled(run.policy_ids[0], "Too late")))
    generation.answer_playground(run.pk)
    run.refresh_from_db()
    assert (run.status, run.answers) == ("cancelled", {})
    assert client.post(address).status_code == 409


def test_a_playground_run_under_way_is_asked_to_stop(api, project, engineer):
    run = played(project, engineer)
    type(run).objects.update(status="running")
    api.force_authenticate(engineer)
    api.post(reverse("api-playground-run-cancel", args=[project.pk, run.pk]))
    run.refresh_from_db()
    assert (run.status, run.cancel_requested_at is not None) == ("running", True)


def test_the_playground_says_how_long_its_runs_took(client, project, engineer):
    address = reverse("generation-playground", args=[project.pk])
    assert 'data-seconds=""' in body(client.get(address))
    now = timezone.now()
    run = played(project, engineer)
    times = {"started_at": now - timedelta(seconds=12), "finished_at": now}
    type(run).objects.filter(pk=run.pk).update(status="done", **times)
    page = body(client.get(address))
    assert 'data-seconds="4.0"' in page
    assert "A model took 4 s" in page


def test_a_policy_that_cannot_answer_leaves_the_others_their_place(
    client, project, engineer, monkeypatch
):
    run = played(project, engineer, reward_model=None)
    base, ppo = run.policy_ids
    failed = {"key": str(base), "failed": "There is no model in /gone."}
    monkeypatch.setattr(generation.GUEST, "ask", Child(failed, sampled(ppo, "After")))
    generation.answer_playground(run.pk)
    page = body(client.get(reverse("generation-playground-run", args=[project.pk, run.pk])))
    assert "There is no model in /gone." in page
    assert "After" in page


def test_a_policy_on_a_server_is_scored_with_the_rest(project, engineer, monkeypatch):
    server = factories.policy(project, **factories.server_by_an_admin(project))
    run = played(project, engineer, policies=[server])

    class Server:
        def generate(self, asks, _settings, *, take, **_):
            sample = Sampled(text="From afar", is_finished=False, token_count=0)
            take(Outcome(prompt_id=asks[0].prompt_id, samples=(sample,)))

    told = {"scores": {str(server.pk): 0.5}, "criteria": {}, "truncated": []}
    child = Child({"key": "scores", **told})
    monkeypatch.setattr(generation, "generator_for", lambda _policy, _folder: Server())
    monkeypatch.setattr(generation.GUEST, "ask", child)
    generation.answer_playground(run.pk)
    run.refresh_from_db()
    assert child.tasks[0]["texts"] == {str(server.pk): ("From afar", False)}
    assert run.scores == {str(server.pk): 0.5}


def test_the_playground_form_asks_for_a_picked_prompt(client, project, engineer):
    prompt = factories.prompt(project, "Picked?")
    policies = [factories.policy(project).pk]
    sent = {"picked": prompt.pk, "policies": policies, "temperature": 0.8, "top_p": 1}
    sent |= {"max_tokens": 8, "seed": 1}
    page = client.post(reverse("generation-playground", args=[project.pk]), sent, follow=True)
    assert "Picked?" in body(page)
    assert PlaygroundRun.objects.get().turns == prompt.turns


@pytest.mark.parametrize(
    "wrong", [{"prompt": "  "}, {"policies": []}, {"seed": -1}, {"top_p": "x"}]
)
def test_a_wrong_playground_form_keeps_its_words(client, project, engineer, wrong):
    sent = {"prompt": "Keep me?", "policies": [factories.policy(project).pk], "temperature": 0.8}
    sent |= {"top_p": 1, "max_tokens": 8, "seed": 1, **wrong}
    page = client.post(reverse("generation-playground", args=[project.pk]), sent)
    assert page.status_code == 400
    assert "errorlist" in body(page) or "notice bad" in body(page)
    assert not PlaygroundRun.objects.exists()


def test_the_api_asks_the_playground(api, project, engineer):
    url = reverse("api-playground-run-list", args=[project.pk])
    sent = {
        "turns": [{"role": "user", "content": "Why?"}],
        "policies": [factories.policy(project).pk],
    }
    made = api.post(url, sent, format="json")
    assert (made.status_code, made.data["status"]) == (201, "queued")
    five = {**sent, "policies": [factories.policy(project).pk for _ in range(5)]}
    refused = api.post(url, five, format="json")
    assert "policies" in refused.json()["error"]["fields"]


def test_models_of_another_project_cannot_be_probed_by_the_playground(api, project, engineer):
    theirs = factories.policy(factories.project(), kind="reward")
    mine = factories.policy(project)
    url = reverse("api-playground-run-list", args=[project.pk])
    sent = {"turns": [{"role": "user", "content": "Why?"}], "policies": [mine.pk]}
    for wrong in ({"reward_model": theirs.pk}, {"policies": [theirs.pk]}, {"reward_model": 10**30}):
        assert api.post(url, {**sent, **wrong}, format="json").status_code == 404
    no_reward_model = {**sent, "reward_model": mine.pk}
    answer = api.post(url, no_reward_model, format="json")
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["reward_model"])
