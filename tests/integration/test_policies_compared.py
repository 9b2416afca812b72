"""Runs that were begun together: what they say to a prompt is compared across policies, once all have answered it."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from annotation.comparisons.models import Comparison
from annotation.comparisons.selectors import prompts_to_pair
from annotation.comparisons.services import batches, run_groups
from annotation.comparisons.services.pairing import pair_prompts
from annotation.core.errors import Conflict
from annotation.generation import services
from annotation.generation.models import Candidate, GenerationRun, RunGroup
from annotation.overview.starting import start
from annotation.projects.models import Role
from tests import factories
from tests.waiting import beside
from workers import generation, housekeeping
from workers.generators.base import Outcome, Sampled

pytestmark = pytest.mark.django_db


class Says:
    """Answers each prompt with texts of the run's policy, but for those that it fails."""

    def __init__(self, policy, fails):
        self.policy, self.fails = policy, fails

    def generate(self, asks, settings, *, take, check):
        for ask in asks:
            check()
            is_failing = ask.prompt_id in self.fails
            texts = (
                []
                if is_failing
                else [f"{self.policy} {ask.prompt_id} {n}" for n in range(settings.n)]
            )
            samples = tuple(Sampled(text=one, is_finished=True, token_count=3) for one in texts)
            take(
                Outcome(
                    prompt_id=ask.prompt_id, samples=samples, reason="No." if is_failing else ""
                )
            )


@pytest.fixture
def answer(monkeypatch):
    """Let a run be done by a worker; some prompts fail."""

    def act(run, *, fails=()):
        monkeypatch.setattr(
            generation, "generator_for", lambda policy, _folder: Says(policy, set(fails))
        )
        generation.generate_candidates(run.pk)

    return act


@pytest.fixture
def begin(project, engineer):
    """Begin a plan of several policies; their runs."""

    def act(number, **fields):
        policies = [factories.policy(project) for _ in range(number)]
        plan = factories.sampling_plan(project, *policies, **fields)
        return services.request_planned(plan=plan, actor=engineer).runs

    return act


def policies_of(row: Comparison) -> set[int]:
    return set(row.candidates.values_list("policy", flat=True))


def test_the_last_to_answer_compares_across_policies(project, begin, answer):
    for _ in range(2):
        factories.prompt(project)
    first, second = begin(2)
    answer(first)
    assert not Comparison.objects.exists()
    answer(second)
    assert [len(policies_of(row)) for row in Comparison.objects.all()] == [2] * 8


def test_one_ranking_holds_all_and_no_other_is_made(project, begin, answer):
    project.pairing = "one_ranking"
    project.save()
    factories.prompt(project)
    for run in begin(3):
        answer(run)
    row = Comparison.objects.get()
    assert (len(row.candidate_ids), len(policies_of(row))) == (6, 3)


def test_a_ring_has_each_two_of_four_policies_in_some_prompt(project, begin, answer):
    """In one ring of four each policy misses one other; which one, the prompts draw."""
    project.pairing = "ring"
    project.save()
    for _ in range(30):
        factories.prompt(project)
    for run in begin(4, per_prompt=1):
        answer(run)
    met = {frozenset(policies_of(row)) for row in Comparison.objects.all()}
    assert Comparison.objects.count() == 4 * 30
    assert len(met) == 6


def test_imported_responses_are_compared_with_those_of_every_policy(project, begin, answer):
    imported = factories.candidate(factories.prompt(project))
    for run in begin(2, per_prompt=1):
        answer(run)
    made = [one.candidate_ids for one in Comparison.objects.all()]
    assert len(made) == 3
    assert len([ids for ids in made if imported.pk in ids]) == 2


def test_a_run_alone_compares_at_once_as_ever(project, begin, answer):
    factories.prompt(project)
    (run,) = begin(1, per_prompt=3)
    assert run.group is None
    answer(run)
    assert Comparison.objects.count() == 3


def test_a_prompt_that_fails_at_one_is_compared_between_the_others(project, begin, answer):
    failing = factories.prompt(project)
    first, second, third = begin(3, per_prompt=1)
    answer(first, fails=[failing.pk])
    answer(second)
    assert not Comparison.objects.exists()
    answer(third)
    assert policies_of(Comparison.objects.get()) == {second.policy_id, third.policy_id}


def test_what_waits_for_others_is_not_offered_to_be_compared_by_hand(
    client, project, begin, answer
):
    factories.prompt(project)
    first, second = begin(2)
    answer(first)
    assert not prompts_to_pair(project).exists()
    admin = factories.member(project, Role.ADMIN)
    client.force_login(admin)
    overview = client.get(reverse("overview-project", args=[project.pk])).text
    assert "2 candidates wait for those of other policies that answer." in overview
    assert batches.preview(project, batches.Chosen()).prompts_to_pair == 0
    with pytest.raises(Conflict, match="no two responses"):
        batches.create_batch(project=project, name="Early", chosen=batches.Chosen(), actor=None)
    answer(second)
    assert Comparison.objects.count() == 4


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_once_all_are_over_what_waited_is_compared(project, begin, answer, end):
    factories.prompt(project)
    first, second, third = begin(3, per_prompt=1)
    answer(first)
    answer(second)
    housekeeping.sweep()
    assert not Comparison.objects.exists()
    GenerationRun.objects.filter(pk=third.pk).update(status=end)
    housekeeping.sweep()
    assert policies_of(Comparison.objects.get()) == {first.policy_id, second.policy_id}
    assert run_groups.pair_what_is_left() == 0


def test_what_one_policy_alone_said_waits_for_a_person_or_for_the_others_to_be_resumed(
    project, begin, answer, engineer
):
    factories.prompt(project)
    first, second = begin(2)
    answer(first)
    second = services.cancel(run=second, actor=engineer)
    run_groups.pair_what_is_left()
    assert not Comparison.objects.exists()
    assert prompts_to_pair(project).count() == 1
    services.resume(run=second, actor=engineer)
    assert not prompts_to_pair(project).exists()
    answer(second)
    assert [len(policies_of(row)) for row in Comparison.objects.all()] == [2] * 4


@pytest.mark.parametrize("is_ended", [True, False])
def test_what_one_said_waits_where_a_start_asks_the_other_again(
    project, begin, answer, engineer, is_ended
):
    factories.prompt(project)
    first, second = begin(2)
    answer(first)
    GenerationRun.objects.filter(pk=second.pk).update(status="failed")
    if is_ended:
        run_groups.pair_what_is_left()
    start(project=project, actor=engineer, is_labeling=False)
    assert not Comparison.objects.exists()
    assert not prompts_to_pair(project).exists()
    again = GenerationRun.objects.get(status="queued")
    assert again.policy == second.policy
    answer(again)
    assert [len(policies_of(row)) for row in Comparison.objects.all()] == [2] * 4


def test_what_a_run_alone_stored_unpaired_waits_for_a_policy_that_is_added(
    project, answer, engineer
):
    factories.prompt(project)
    first, second = [factories.policy(project) for _ in range(2)]
    alone = services.request_candidates(
        project=project, policy=first, pair_after=False, actor=engineer
    )
    answer(alone)
    plan = factories.sampling_plan(project, first, second, temperature=0.8, max_tokens=256)
    start(project=project, actor=engineer, is_labeling=False)
    assert not Comparison.objects.exists()
    answer(plan.project.generation_runs.get(policy=second))
    assert [len(policies_of(row)) for row in Comparison.objects.all()] == [2] * 4


def test_a_policy_that_is_added_while_others_answer_is_waited_for_too(
    project, begin, answer, engineer
):
    factories.prompt(project)
    first, second = begin(2, per_prompt=1)
    answer(first)
    third = factories.policy(project)
    project.sampling_plan.policies.add(third)
    start(project=project, actor=engineer, is_labeling=False)
    answer(second)
    assert not Comparison.objects.exists()
    answer(GenerationRun.objects.get(policy=third))
    assert Comparison.objects.count() == 3


def test_where_nobody_is_asked_what_one_policy_alone_said_is_paired_by_the_start(
    project, begin, answer, engineer
):
    factories.prompt(project)
    first, second = begin(2)
    answer(first)
    services.cancel(run=second, actor=engineer)
    run_groups.pair_what_is_left()
    project.sampling_plan.policies.remove(second.policy)
    start(project=project, actor=engineer, is_labeling=False)
    assert [len(policies_of(row)) for row in Comparison.objects.all()] == [1]


def test_a_group_that_cannot_be_compared_is_logged_and_the_others_go_on(
    project, engineer, answer, monkeypatch, caplog
):
    ended = []
    for one in (project, factories.project()):
        factories.prompt(one)
        plan = factories.sampling_plan(
            one, *[factories.policy(one) for _ in range(3)], per_prompt=1
        )
        first, second, third = services.request_planned(plan=plan, actor=engineer).runs
        answer(first)
        answer(second)
        ended.append(third.pk)
    GenerationRun.objects.filter(pk__in=ended).update(status="failed")

    def fails_here(*, project, prompt_ids, pairing):
        if project.pk == plan.project_id:
            return pair_prompts(project=project, prompt_ids=prompt_ids, pairing=pairing)
        raise IntegrityError("lost")

    monkeypatch.setattr(run_groups, "pair_prompts", fails_here)
    housekeeping.sweep()
    assert Comparison.objects.get().project == plan.project
    assert "run_group.not_ended" in caplog.messages
    assert [one.paired_at is None for one in RunGroup.objects.order_by("pk")] == [True, False]


def test_a_group_is_compared_in_parts_and_stays_open_where_a_run_is_resumed_meanwhile(
    project, begin, answer, engineer, monkeypatch
):
    for _ in range(2):
        factories.prompt(project)
    first, second, third = begin(3, per_prompt=1)
    answer(first)
    answer(second)
    third = services.cancel(run=third, actor=engineer)
    monkeypatch.setattr(run_groups, "PROMPTS_AT_ONCE", 1)

    def resumed_after(**asked):
        pair_prompts(**asked)
        services.resume(run=third, actor=engineer)

    monkeypatch.setattr(run_groups, "pair_prompts", resumed_after)
    assert run_groups.pair_what_is_left() == 0
    assert Comparison.objects.count() == 1
    assert RunGroup.objects.get().paired_at is None


def test_a_policy_that_answered_in_an_earlier_run_is_not_waited_for(
    project, engineer, begin, answer
):
    old = factories.prompt(project)
    first, second = begin(2, per_prompt=1)
    answer(first)
    answer(second)
    new = factories.prompt(project)
    plan = project.sampling_plan
    third = factories.policy(project)
    plan.policies.add(third)
    runs = services.request_planned(plan=plan, actor=engineer).runs
    asks_all = next(run for run in runs if run.policy_id == third.pk)
    answer(asks_all)
    assert (old.comparisons.count(), new.comparisons.count()) == (3, 0)


def test_a_run_leads_to_those_that_were_begun_with_it(client, engineer, project, begin):
    factories.prompt(project)
    first, second = begin(2)
    client.force_login(engineer)
    page = client.get(reverse("generation-run", args=[project.pk, first.pk])).text
    other = reverse("generation-run", args=[project.pk, second.pk])
    assert f'once <a href="{other}">{second.policy}</a> answered the prompt too' in page


@pytest.mark.django_db(transaction=True)
def test_of_two_that_answer_at_the_same_time_the_second_compares(project, begin):
    """The second waits for the first's transaction, and then sees what that stored."""
    prompt = factories.prompt(project)
    first, second = begin(2)

    @transaction.atomic
    def stored(run):
        said = [services.Response(text=f"{run.pk}")]
        services.store_candidates(run=run, prompt=prompt, responses=said)
        run_groups.pair_answered(run=run, prompt=prompt)

    with transaction.atomic():
        stored(first)
        other = beside(lambda: stored(second))
        assert not other.done()
    other.result()
    assert Candidate.objects.count() == 2
    assert Comparison.objects.count() == 1
    assert RunGroup.objects.get().paired_at is None


@pytest.mark.django_db(transaction=True)
def test_of_two_starts_at_once_one_asks_the_policies(engineer, project):
    for _ in range(2):
        factories.prompt(project)
    plan = factories.sampling_plan(project, *(factories.policy(project) for _ in range(2)))

    def begun():
        return services.request_planned(plan=plan, actor=engineer)

    with transaction.atomic():
        first = begun()
        other = beside(begun)
        assert not other.done()
    assert (len(first.runs), other.result().runs) == (2, [])
    assert {one.pk for one in other.result().under_way} == {one.pk for one in first.runs}
    assert RunGroup.objects.get().runs.count() == 2
