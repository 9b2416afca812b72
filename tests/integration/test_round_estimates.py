"""What a round will ask of people, told before it starts: as many comparisons as it then puts before them."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.comparisons.services.pairing import new_sets, pair_candidates
from annotation.generation.models import GenerationRun
from annotation.projects.models import Project, Role
from annotation.registry.models import ModelVersion
from annotation.rounds.estimates import Estimate, estimate
from annotation.rounds.plans import Plan
from tests import factories

pytestmark = pytest.mark.django_db


def prompts_with(project: Project, *, candidates: int, prompts: int) -> list[object]:
    made = [factories.prompt(project) for _ in range(prompts)]
    for prompt in made:
        for _ in range(candidates):
            factories.candidate(prompt)
    return made


def test_new_responses_are_compared_with_those_that_are_there():
    """A ring of 3 + 2: (2, 3), (3, 4) and the closing (0, 4). All pairs of 2 + 2: 6 less the 1 there."""
    assert new_sets(3, 2, "auto") == 3
    assert new_sets(2, 2, "all_pairs") == 5
    assert new_sets(0, 2, "auto") == 1


def test_the_estimate_counts_what_the_new_responses_are_compared_with():
    project = factories.project()
    prompts_with(project, candidates=3, prompts=2)
    assert estimate(project, Plan(per_prompt=2), None).comparisons == 2 * 3


def test_comparisons_that_wait_in_no_batch_join_those_of_the_round():
    project = factories.project()
    (prompt,) = prompts_with(project, candidates=2, prompts=1)
    pair_candidates(project=project, prompt=prompt)
    assert estimate(project, Plan(per_prompt=2), None).comparisons == 5 + 1


def planned(project: Project, policy: ModelVersion, **plan: object) -> Estimate:
    return estimate(project, Plan.from_json({"max_tokens": 48, **plan}), policy)


def test_the_time_of_training_goes_by_runs_of_the_round_s_preset():
    """Standard PPO: 200 updates at 8 s. The demo's, newer: 8 updates at 2 s."""
    project = factories.project()
    policy = factories.policy(project)
    slow = factories.paced_run(project, "ppo", base_model=policy, seconds=8.0)
    quick = factories.paced_run(project, "ppo", base_model=policy, preset="demo")
    standard, demo = (planned(project, policy, preset=name) for name in ("standard", "demo"))
    assert (standard.policy_seconds, standard.policy.runs) == (1600.0, ((slow.pk, slow.name),))
    assert (demo.policy_seconds, demo.policy.runs) == (16.0, ((quick.pk, quick.name),))


def test_records_that_the_newest_snapshot_holds_are_trained_on_again():
    """Of 100 prompts 80 are trained on: 3 steps of 32 in one epoch, each 2 s."""
    project = factories.project()
    policy = factories.policy(project)
    factories.prompt(project)
    snapshot = factories.snapshot(project, rows=100)
    factories.paced_run(project, "reward_model", base_model=policy, snapshot=snapshot)
    found = planned(project, policy)
    assert (found.training_prompts, found.reward_seconds) == (80, 6.0)
    assert planned(project, policy, algorithm="dpo").reward_seconds == 0.0


def sampled(policy: ModelVersion, *, seconds: float, max_tokens: int) -> GenerationRun:
    """A finished generation run that made one response."""
    now = timezone.now()
    run = GenerationRun.objects.create(
        project=policy.project,
        policy=policy,
        max_tokens=max_tokens,
        status="done",
        started_at=now - timedelta(seconds=seconds),
        finished_at=now,
    )
    factories.candidate(factories.prompt(policy.project), run=run)
    return run


def test_responses_go_by_the_nearest_run_and_say_which():
    project = factories.project()
    policy, other = factories.policy(project), factories.policy(project)
    strange = sampled(other, seconds=9, max_tokens=48)
    found = planned(project, policy, per_prompt=2).generation
    assert (found.run, found.is_same_policy, found.seconds) == (strange.pk, False, 9.0 * 2)
    own = sampled(policy, seconds=1, max_tokens=48)
    sampled(policy, seconds=5, max_tokens=512)
    found = planned(project, policy, per_prompt=2).generation
    assert (found.run, found.is_same_length, found.seconds) == (own.pk, True, 1.0 * 6)


def test_the_page_names_the_runs_that_the_times_rest_on(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ENGINEER))
    policy = factories.policy(project, stage="serving")
    sampled(policy, seconds=5, max_tokens=512)
    run = factories.paced_run(project, "ppo", base_model=policy, preset="demo")
    page = client.get(reverse("rounds-new", args=[project.pk])).text
    assert f"at the pace of {run.name}, over a model of this size with other settings" in page
    assert "max response tokens 48 there, 512 here" in page
    assert "which was asked for at most 512 tokens: roughly" in page


def test_before_a_policy_serves_the_estimate_is_of_that_which_the_form_shows(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ENGINEER))
    policy = factories.policy(project)
    run = factories.paced_run(project, "ppo", base_model=policy)
    page = client.get(reverse("rounds-new", args=[project.pk]))
    assert page.context["form"]["policy"].initial == policy
    assert f"at the pace of {run.name}, with these settings" in page.text
