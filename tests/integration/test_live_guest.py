"""What somebody waits for, by a real process and tiny models: the playground and scores share the one that stays."""

import pytest
import torch

from annotation.generation.services import request_playground
from annotation.registry import scoring as service
from tests import factories
from training.models.reward import new_reward_model, save_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers import generation, scoring

pytestmark = pytest.mark.django_db
TURNS = [{"role": "user", "content": "Why?"}]


@pytest.fixture
def models(project, tmp_path):
    """A policy and a reward model in folders."""
    policy, reward = tmp_path / "policy", tmp_path / "reward"
    tiny_llama().save_pretrained(policy)
    tiny_tokenizer().save_pretrained(policy)
    made = new_reward_model(str(policy), precision="float32", device=torch.device("cpu"), seed=3)
    save_reward_model(made, reward)
    return (
        factories.policy(project, name="base", location=str(policy)),
        factories.policy(project, kind="reward", name="rm", location=str(reward)),
    )


@pytest.fixture(autouse=True)
def guest_leaves():
    yield
    generation.GUEST.leave()


def test_the_playground_and_a_score_are_answered_by_one_process(
    project, engineer, models, settings, tmp_path
):
    settings.CONCORD_VAR = tmp_path / "var"
    settings.CONCORD_LEASE_SECONDS = 3600  # the heartbeat's connection cannot see this transaction
    policy, reward = models
    answers, pids = [], []
    for _ in range(2):
        run = request_playground(
            project=project,
            turns=TURNS,
            policies=[policy],
            reward_model=reward,
            max_tokens=4,
            actor=engineer,
        )
        generation.answer_playground(run.pk)
        run.refresh_from_db()
        assert (run.status, run.error) == ("done", "")
        answers.append(run.answers[str(policy.pk)])
        pids.append(generation.GUEST._child.pid)
    chat = [*TURNS, {"role": "assistant", "content": answers[0]["text"]}]
    request = service.request_scores(version=reward, chats=[chat], actor=engineer)
    scoring.score_chats(request.pk)
    request.refresh_from_db()
    assert request.status == "done"
    assert answers[0] == answers[1]
    assert len({*pids, scoring.GUEST._child.pid}) == 1
    assert list((tmp_path / "var" / "playground").iterdir()) == []
