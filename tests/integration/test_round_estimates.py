"""What a round will ask of people, told before it starts: as many comparisons as it then puts before them."""

import pytest

from annotation.comparisons.services.pairing import new_sets, pair_candidates
from annotation.projects.models import Project
from annotation.rounds.estimates import estimate
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
