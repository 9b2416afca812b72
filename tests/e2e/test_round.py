"""A whole round by one act: tiny models in real processes, a labeler over the API, and the sweep between the parts."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from annotation.generation.models import Candidate
from annotation.projects.models import Role
from annotation.registry.selectors import serving
from annotation.registry.services import promote
from annotation.rounds.models import Round
from tests import factories
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers.datasets import build_snapshot
from workers.generation import generate_candidates
from workers.housekeeping import sweep
from workers.training import execute_run

PLAN = {"algorithm": "ppo", "preset": "demo", "max_tokens": 8, "blind_prompts": 80}


@pytest.fixture
def labeler(project, api) -> Callable[[Callable[[Candidate], Any]], int]:
    """`labeler(key)` answers all that is asked: the candidate with the highest key is best. How many answers."""
    person = factories.member(project)
    address = reverse("api-assignment-next", args=[project.pk])

    def answers(key: Callable[[Candidate], Any]) -> int:
        api.force_authenticate(person)
        given = 0
        while assignment := api.post(address).json()["assignment"]:
            shown = [one["id"] for one in assignment["candidates"]]
            best, other = sorted(Candidate.objects.filter(pk__in=shown), key=key, reverse=True)
            answer = {"client_uuid": str(uuid4()), "ranking": [[best.pk], [other.pk]]}
            where = reverse("api-assignment-judgment", args=[project.pk, assignment["id"]])
            said = api.post(where, answer | {"strengths": [2]}, format="json")
            assert said.status_code == 200, said.json()
            sweep()
            given += 1
        return given

    return answers


@pytest.fixture
def project():
    project = factories.project(overlap=1, min_reading_seconds=0)
    for number in range(80):
        factories.prompt(project, f"Say {number}?")
    return project


@pytest.fixture
def engineer(project, tmp_path, settings):
    """Whose policy, a tiny random one, serves."""
    settings.CONCORD_VAR, settings.CONCORD_LEASE_SECONDS = tmp_path, 3600
    tiny_llama().save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    engineer = factories.member(project, Role.ENGINEER)
    promote(version=factories.policy(project, location=str(tmp_path / "tiny")), actor=engineer)
    return engineer


@pytest.mark.django_db
def test_one_act_leads_by_a_reward_model_and_ppo_to_blind_votes_that_decide(
    project, engineer, labeler, api: APIClient
):
    """Workers do what they are rung for. Blind, the labeler prefers the new policy wherever the two differ, until the
    interval excludes one half: what was not compared by then is asked no more.
    """
    api.force_authenticate(engineer)
    made = api.post(reverse("api-round-list", args=[project.pk]), PLAN, format="json")
    assert made.status_code == 201, made.json()

    def row() -> Round:
        return Round.objects.get(project=project)

    generate_candidates(row().generation_id)
    sweep()
    labels = labeler(lambda one: one.text)
    build_snapshot(row().snapshot_id)
    sweep()
    execute_run(row().reward_run_id)
    sweep()
    execute_run(row().policy_run_id)
    sweep()
    reward, policy = row().reward_run, row().policy_run
    assert (reward.status, policy.status, policy.reward_model) == (
        *("done", "done"),
        reward.model_version,
    )
    assert policy.result["metrics"]["updates"] == 8

    for run in (row().evaluation.generation, row().evaluation.baseline_generation):
        generate_candidates(run.pk)
    sweep()
    asked = row().evaluation.batch.comparisons.count()
    votes = labeler(lambda one: one.run_id == row().evaluation.generation_id)
    found = row()
    assert (found.state, found.evaluation.state, found.verdict["is_better"]) == (
        *("done", "decided"),
        True,
    )
    assert 0 < votes < asked < labels
    assert "People prefer its answers, in 100 % of" in found.verdict["sentence"]
    assert serving(project=project, kind="policy") == policy.model_version
