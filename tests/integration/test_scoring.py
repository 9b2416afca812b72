"""Scores on request: asked by a row, answered together by a worker, told where to look when that takes longer."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.core.jobs import JobQuerySet
from annotation.projects.models import Role
from annotation.registry import scoring as service
from annotation.registry.models import ScoringRequest
from tests import factories
from tests.waiting import eventually
from workers import scoring
from workers.generators.base import GeneratorFailed
from workers.housekeeping import sweep
from workers.running import CancelRequested, Fenced, Orphaned

pytestmark = pytest.mark.django_db
renew_all = JobQuerySet.renew_all
CHAT = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


@pytest.fixture(autouse=True)
def long_lease(settings):
    """The heartbeat has a connection of its own and cannot see rows of a test's transaction."""
    settings.CONCORD_LEASE_SECONDS = 3600


@pytest.fixture
def reward(project):
    return factories.policy(project, kind="reward")


@pytest.fixture
def child_says(monkeypatch):
    """The child answers each chat with the length of its response, or fails with a sentence."""
    asked = []

    def install(failure=""):
        def run_child(tasks, *, folder, hear, check):
            (task,) = tasks
            asked.append(task["chats"])
            check()
            if failure:
                hear({"key": "scores", "failed": failure})
                return
            told = {"concise": -1.5}
            lengths = [len(chat[-1]["content"]) for chat in task["chats"]]
            reasons = ["no system turn" * (chat[0]["role"] == "system") for chat in task["chats"]]
            scores = [
                None if reason else [float(one), 0.5, told, one > 12]
                for one, reason in zip(lengths, reasons, strict=True)
            ]
            line = {"key": "scores", "chat_scores": scores, "reasons": reasons}
            hear({**line, "temperature": 2.0})

        monkeypatch.setattr(scoring.GUEST, "ask", run_child)
        return asked

    return install


def requested(reward, engineer, chats=(CHAT,)):
    return service.request_scores(version=reward, chats=chats, actor=engineer)


def sent(api, engineer, reward, **body):
    api.force_authenticate(engineer)
    address = f"/api/v1/models/{reward.pk}/score/"
    return api.post(address, {"chats": [CHAT], "wait": 0, **body}, format="json")


def test_requests_that_wait_are_scored_together_each_with_its_own(reward, engineer, child_says):
    longer = [CHAT[0], {"role": "assistant", "content": "Because of it."}]
    first, second = requested(reward, engineer), requested(reward, engineer, [longer, CHAT])
    asked = child_says()
    scoring.score_chats(first.pk)
    assert [len(chats) for chats in asked] == [3]
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.scores == [
        {
            "raw": 8.0,
            "calibrated": 4.0,
            "deviation": 0.5,
            "criteria": {"concise": -1.5},
            "is_truncated": False,
        }
    ]
    assert [one["raw"] for one in second.scores] == [14.0, 8.0]
    assert [one["is_truncated"] for one in second.scores] == [True, False]
    assert (first.status, second.status) == ("done", "done")


def test_another_models_requests_are_left_alone(project, reward, engineer, child_says):
    other = requested(factories.policy(project, kind="reward"), engineer)
    child_says()
    scoring.score_chats(requested(reward, engineer).pk)
    other.refresh_from_db()
    assert other.status == "queued"


def test_a_model_that_fails_fails_all_with_its_sentence(reward, engineer, child_says):
    first, second = requested(reward, engineer), requested(reward, engineer)
    child_says("The folder has no score head.")
    scoring.score_chats(first.pk)
    for one in (first, second):
        one.refresh_from_db()
        assert (one.status, one.error) == ("failed", "The folder has no score head.")
        with pytest.raises(service.ScoringFailed, match="no score head"):
            service.await_scores(one, seconds=0)


def ends_with(failure):
    """A child that wrote what it was asked into its folder, and then ended so."""

    def run_child(_tasks, *, folder, **_):
        (folder / "request.json").write_text("what somebody sent")
        raise failure

    return run_child


@pytest.mark.parametrize("failure", [GeneratorFailed("No memory."), CancelRequested(), Orphaned()])
def test_however_scoring_ends_no_chat_stays_on_the_disk(
    reward, engineer, monkeypatch, settings, tmp_path, failure
):
    settings.CONCORD_VAR = tmp_path
    monkeypatch.setattr(scoring.GUEST, "ask", ends_with(failure))
    scoring.score_chats(requested(reward, engineer).pk)
    assert list((tmp_path / "scoring").iterdir()) == []


def test_who_lost_the_lease_leaves_the_folder_to_the_worker_that_has_the_job_now(
    reward, engineer, monkeypatch, settings, tmp_path
):
    settings.CONCORD_VAR = tmp_path
    monkeypatch.setattr(scoring.GUEST, "ask", ends_with(Fenced()))
    request = requested(reward, engineer)
    scoring.score_chats(request.pk)
    assert (tmp_path / "scoring" / str(request.pk) / "request.json").exists()


def of_days_ago(request, days):
    before = timezone.now() - timedelta(days=days)
    ScoringRequest.objects.filter(pk=request.pk).update(created_at=before)


def test_the_sweep_removes_the_chats_of_more_than_a_day_ago(reward, engineer):
    old, young = requested(reward, engineer), requested(reward, engineer)
    of_days_ago(old, 1.01)
    of_days_ago(young, 0.99)
    sweep()
    assert list(ScoringRequest.objects.all()) == [young]


def test_a_request_of_more_than_a_day_ago_is_not_shown(api, engineer, reward):
    address = sent(api, engineer, reward)["Location"]
    of_days_ago(ScoringRequest.objects.get(), 1.01)
    assert api.get(address).status_code == 404


def test_a_look_at_many_requests_asks_the_database_nothing(
    reward, engineer, child_says, monkeypatch
):
    for _ in range(4):
        last = requested(reward, engineer)
    child_says()
    answers, looks = scoring.GUEST.ask, []

    def looked_at(tasks, *, check, **fields):
        with CaptureQueriesContext(connection) as asked:
            for _ in range(5):
                check()
        looks.append(len(asked))
        answers(tasks, check=check, **fields)

    monkeypatch.setattr(scoring.GUEST, "ask", looked_at)
    scoring.score_chats(last.pk)
    assert looks == [0]
    assert set(ScoringRequest.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.django_db(transaction=True)
def test_the_leases_of_all_that_is_scored_together_are_renewed_by_one_statement(
    reward, engineer, monkeypatch, settings
):
    settings.CONCORD_LEASE_SECONDS = 1
    first, *others = [requested(reward, engineer) for _ in range(3)]
    together = ScoringRequest.objects.filter(pk__in=[one.pk for one in others])
    renewed = []
    monkeypatch.setattr(
        JobQuerySet,
        "renew_all",
        lambda jobs, keys, **fields: renewed.append(keys) or renew_all(jobs, keys, **fields),
    )
    held, began = [], time.monotonic()

    def works_longer_than_a_lease(_tasks, *, check, **_):
        eventually(lambda: check() or len(renewed) > 4)
        held.extend(together.filter(lease_until__gt=timezone.now()))
        raise GeneratorFailed("No memory.")

    monkeypatch.setattr(scoring.GUEST, "ask", works_longer_than_a_lease)
    scoring.score_chats(first.pk)
    assert len(held) == 2
    assert {tuple(keys) for keys in renewed} == {tuple(one.pk for one in others)}
    assert len(renewed) <= 4 * (time.monotonic() - began)  # four in a lease, however often it looks


REFUSED = [{"role": "system", "content": "Be brief."}, *CHAT]


def test_a_chat_that_the_model_refuses_fails_its_own_request_and_no_other(
    reward, engineer, child_says
):
    first = requested(reward, engineer, [CHAT, REFUSED])
    good, last = requested(reward, engineer), requested(reward, engineer, [REFUSED])
    child_says()
    scoring.score_chats(first.pk)
    for one in (first, good, last):
        one.refresh_from_db()
    assert (good.status, len(good.scores)) == ("done", 1)
    assert (first.status, first.error) == ("failed", "Chat 2 of 2: no system turn")
    assert (last.status, last.error) == ("failed", "Chat 1 of 1: no system turn")
    assert (first.scores, last.scores) == ([], [])


def test_an_answer_that_is_not_there_yet_says_where_to_look(
    api, engineer, reward, project, child_says
):
    answer = sent(api, engineer, reward)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    child_says()
    scoring.score_chats(answer.json()["id"])
    found = api.get(answer["Location"])
    assert (found.status_code, found.json()["status"]) == (200, "done")
    assert found.json()["scores"][0]["calibrated"] == 4.0
    assert f"/projects/{project.pk}/models/{reward.pk}/scores/" in answer["Location"]


def test_scores_that_come_in_time_are_the_answer(api, engineer, reward, child_says, monkeypatch):
    child_says()
    monkeypatch.setattr(service.time, "sleep", lambda _: scoring.score_chats(
        ScoringRequest.objects.get().pk
    ))  # fmt: skip
    answer = sent(api, engineer, reward, wait=5)
    assert (answer.status_code, answer.json()["scores"][0]["raw"]) == (200, 8.0)


@pytest.mark.parametrize(
    "chats",
    [[], [[]], [CHAT[:1]], [[CHAT[1]]], [[*CHAT, CHAT[0]]], [CHAT] * 257,
     [[CHAT[0], {"role": "assistant", "content": "x" * 200_001}]]],
)  # fmt: skip
def test_what_is_no_answered_chat_is_refused(reward, engineer, chats):
    with pytest.raises(InvalidInput, match=r"[Cc]hat"):
        requested(reward, engineer, chats)


def test_a_policy_gives_no_scores(api, engineer, project):
    answer = sent(api, engineer, factories.policy(project))
    assert (answer.status_code, ScoringRequest.objects.count()) == (400, 0)


def test_a_queue_that_nobody_works_on_is_refused(api, engineer, reward, monkeypatch):
    monkeypatch.setattr(service, "MOST_WAITING", 1)
    requested(reward, engineer)
    answer = sent(api, engineer, reward)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")


def test_strangers_and_labelers_find_no_model(api, project, reward):
    for person in (factories.user(), factories.member(project, Role.LABELER)):
        assert sent(api, person, reward).status_code == 404
    assert not ScoringRequest.objects.exists()


def test_a_tiny_reward_model_scores_in_a_child(tmp_path, reward, engineer):
    import torch

    from training.models.reward import new_reward_model, save_reward_model, save_temperature
    from training.models.tiny import tiny_llama, tiny_tokenizer

    policy, folder = tmp_path / "policy", tmp_path / "reward"
    tiny_llama().save_pretrained(policy)
    tiny_tokenizer().save_pretrained(policy)
    model = new_reward_model(
        str(policy), precision="float32", device=torch.device("cpu"), seed=1, heads=2
    )
    save_reward_model(model, folder)
    save_temperature(folder, 2.0)
    reward.location = str(folder)
    reward.save(update_fields=["location"])
    other = [CHAT[0], {"role": "assistant", "content": "For no reason."}]
    request = requested(reward, engineer, [CHAT, other, CHAT])
    scoring.score_chats(request.pk)
    request.refresh_from_db()
    assert (request.status, request.temperature) == ("done", 2.0)
    one, two, three = request.scores
    assert one["raw"] == pytest.approx(three["raw"], abs=1e-4) != two["raw"]
    assert one["calibrated"] == pytest.approx(one["raw"] / 2)
    assert one["deviation"] > 0
