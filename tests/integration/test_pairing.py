"""Candidates of a prompt become comparisons, each set once."""

import pytest
from django.db import IntegrityError
from django.urls import reverse

from annotation.comparisons.models import Comparison
from annotation.comparisons.services.pairing import (
    Pairing,
    candidate_sets,
    pair_candidates,
    pair_prompts,
    sets_across,
)
from annotation.core.errors import InvalidInput
from annotation.projects.models import Role
from annotation.prompts.models import Prompt
from tests import factories


@pytest.fixture
def prompt() -> Prompt:
    prompt = factories.prompt(factories.project(overlap=3))
    for _ in range(4):
        factories.candidate(prompt)
    return prompt


@pytest.mark.django_db
def test_all_pairs_of_four_are_six_with_the_overlap_of_the_project(prompt):
    made = pair_candidates(project=prompt.project, prompt=prompt)
    assert len(made) == 6
    assert {row.overlap for row in made} == {3}
    assert {row.candidates.count() for row in made} == {2}


@pytest.mark.django_db
def test_pairing_again_makes_only_what_is_missing(prompt):
    every = {"project": prompt.project, "prompt": prompt, "strategy": "all_pairs"}
    pair_candidates(**every)
    assert pair_candidates(**every) == []
    factories.candidate(prompt)
    assert len(pair_candidates(**every)) == 4
    assert Comparison.objects.count() == 10


@pytest.mark.django_db
def test_the_database_refuses_a_set_of_candidates_twice(prompt):
    row = factories.comparison(prompt)
    ids = {"prompt": prompt, "candidate_ids": row.candidate_ids}
    with pytest.raises(IntegrityError, match="a_set_of_candidates_is_compared_once"):
        Comparison.objects.create(project=prompt.project, **ids)


@pytest.mark.django_db
def test_the_same_text_and_an_empty_text_are_not_compared(prompt):
    text = prompt.candidates.first().text
    factories.candidate(prompt, f"{text}  \n", fingerprint="another")
    factories.candidate(prompt, " ", fingerprint="blank")
    assert len(pair_candidates(project=prompt.project, prompt=prompt)) == 6


@pytest.mark.django_db
def test_one_candidate_makes_no_comparison():
    prompt = factories.prompt(factories.project())
    factories.candidate(prompt)
    assert pair_candidates(project=prompt.project, prompt=prompt) == []


def test_a_ring_of_five_has_five_pairs_and_of_two_one():
    assert candidate_sets([5, 1, 2, 3, 4], "ring") == [(1, 2), (2, 3), (3, 4), (4, 5), (1, 5)]
    assert candidate_sets([2, 1], "ring") == [(1, 2)]


def test_one_ranking_takes_up_to_nine_and_splits_more_into_even_groups():
    assert candidate_sets(list(range(9)), "one_ranking") == [tuple(range(9))]
    assert [len(one) for one in candidate_sets(list(range(19)), "one_ranking")] == [7, 6, 6]


def test_across_policies_up_to_four_meet_those_of_others_alone():
    assert sets_across([[1, 2], [3, 4]], "auto") == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert sets_across([[3], [1], [2]], "auto") == [(1, 3), (2, 3), (1, 2)]
    assert len(sets_across([[1, 2], [3, 4]], "all_pairs")) == 6


def test_a_ring_across_policies_has_them_in_turn():
    a, b, c = [1, 2], [3, 4], [5, 6]
    ring = [(1, 3), (3, 5), (2, 5), (2, 4), (4, 6), (1, 6)]
    assert sets_across([a, b, c], "ring") == sets_across([a, b, c], "auto") == ring


def test_of_several_rankings_across_policies_each_has_as_much_of_every_one():
    by_policy = [list(range(8)), list(range(8, 16))]
    rankings = sets_across(by_policy, "one_ranking")
    assert [sum(pk < 8 for pk in one) for one in rankings] == [4, 4]


@pytest.mark.parametrize("strategy", ["auto", "all_pairs", "ring", "one_ranking"])
def test_what_one_policy_alone_said_is_not_compared_across(strategy):
    assert sets_across([[1, 2, 3], []], strategy) == []


def test_an_unknown_strategy_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match="ring"):
        candidate_sets([1, 2], "swiss")


@pytest.mark.django_db
def test_an_admin_makes_the_comparisons_of_candidates_that_wait(client, prompt):
    project = prompt.project
    factories.comparison(factories.prompt(project))
    factories.candidate(factories.prompt(project))  # alone
    client.force_login(factories.member(project, Role.ADMIN))
    page = reverse("comparisons-list", args=[project.pk])
    assert "The candidates of 1 prompt are in no comparison" in client.get(page).content.decode()
    client.post(reverse("comparisons-pair", args=[project.pk]), {"strategy": "ring"})
    assert prompt.comparisons.count() == 4
    assert Comparison.objects.count() == 5
    assert "in no comparison" not in client.get(page).content.decode()


@pytest.mark.django_db
def test_all_that_waits_is_paired_through_the_api_with_the_strategy_of_the_project(api, prompt):
    project = prompt.project
    project.pairing = "one_ranking"
    project.save(update_fields=["pairing"])
    other = factories.prompt(project)
    for _ in range(3):
        factories.candidate(other)
    api.force_authenticate(factories.member(project, Role.ADMIN))
    answer = api.post(reverse("api-comparison-pair", args=[project.pk]), {}, format="json")
    assert answer.json() == {"made": 2, "prompts_waiting": 0}
    assert [len(row.candidate_ids) for row in project.comparisons.order_by("prompt")] == [4, 3]
    assert other.comparisons.get().candidates.count() == 3


@pytest.mark.django_db
def test_many_prompts_are_paired_with_as_few_queries_as_one(prompt, django_assert_num_queries):
    prompts = [prompt.pk]
    for _ in range(20):
        other = factories.prompt(prompt.project)
        factories.candidate(other)
        factories.candidate(other)
        prompts.append(other.pk)
    with django_assert_num_queries(8):
        made = pair_prompts(project=prompt.project, prompt_ids=prompts, pairing=Pairing())
    assert len(made) == 26


def test_without_a_choice_four_candidates_meet_each_other_and_more_form_a_ring():
    assert len(candidate_sets([1, 2, 3, 4], "auto")) == 6
    assert len(candidate_sets([1, 2, 3, 4, 5], "auto")) == 5


@pytest.mark.django_db
def test_an_unknown_strategy_is_a_page_that_says_so(client, prompt):
    client.force_login(factories.member(prompt.project, Role.ADMIN))
    answer = client.post(reverse("comparisons-pair", args=[prompt.project.pk]), {"strategy": "x"})
    assert answer.status_code == 400
    assert "no pairing strategy" in answer.content.decode()
    assert not Comparison.objects.exists()
