"""Style sways verdicts: Markdown marks stand beside the lengths in the columns; the strength scale takes them out."""

import numpy as np
import pytest
import statsmodels.api as sm
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.generation.models import Candidate
from annotation.projects.models import Role
from annotation.quality import policy_models, services, stored, storing
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments
from annotation.quality.selectors import computed_report
from tests import factories

pytestmark = pytest.mark.django_db

MARKED = """# One
## Two
Text with **bold** and **more bold**, and 2 * 3 ** 2.

- first
* second
  1. third
4) fourth
#hashtag
```
# no heading
- no item **no bold**
```
### Three
"""


def texts(comparison, first, second):
    for pk, text in zip(comparison.candidate_ids, (first, second), strict=True):
        Candidate.objects.filter(pk=pk).update(text=text)


def pair_of(project):
    services.catch_up(project=project)
    (pair,) = stored.load_pairs(project)
    return {name: int(pair[name]) for name in pair.dtype.names}


def test_marks_are_counted_outside_of_code(project):
    """Three headings, four list items, two in bold; the second response has one item, then an open fence."""
    comparison = factories.comparison(factories.prompt(project))
    texts(comparison, MARKED, "- one\n```\n- two\n# three")
    factories.judgment(comparison)
    found = pair_of(project)
    assert [found[f"first_{mark}"] for mark in stored.MARKS] == [3, 4, 2]
    assert [found[f"second_{mark}"] for mark in stored.MARKS] == [0, 1, 0]


def test_columns_filled_anew_have_the_marks(project):
    comparison = factories.comparison(factories.prompt(project))
    texts(comparison, "# One", "Plain.")
    factories.judgment(comparison)
    services.catch_up(project=project)
    storing.rebuild_columns(project=project)
    assert pair_of(project)["first_headings"] == 1


def test_texts_are_searched_once_for_each_comparison_and_again_as_they_change(project):
    """A second judgment searches no text; a text of another length is searched with the next one."""
    comparison = factories.comparison(factories.prompt(project), overlap=9)
    texts(comparison, "# One", "Plain.")
    factories.judgment(comparison)
    assert pair_of(project)["first_headings"] == 1
    factories.judgment(comparison)
    with CaptureQueriesContext(connection) as told:
        assert pair_of(project)["first_headings"] == 1
    assert not any("regexp_count" in one["sql"] for one in told)
    texts(comparison, "# One\n## Two", "Plain.")
    factories.judgment(comparison)
    assert pair_of(project)["first_headings"] == 2


def verdicts_of(project):
    scoped = ScopedJudgments(project, Scope())
    judged = scoped.ranked
    codes, _ = policy_models.between(judged)
    return policy_models._verdicts(judged, codes)


@pytest.fixture
def policies(project):
    return [factories.policy(project, name=name) for name in ("plain", "marked")]


def compared(project, policies, number, *, first, second, ranking):
    comparison = factories.comparison(factories.prompt(project))
    texts(comparison, first, second)
    order = policies if number % 3 else policies[::-1]
    for pk, policy in zip(comparison.candidate_ids, order, strict=True):
        Candidate.objects.filter(pk=pk).update(policy=policy)
    one, two = comparison.candidate_ids
    tiers = {1: [[one], [two]], -1: [[two], [one]], 0: [[one, two]]}[ranking]
    factories.judgment(comparison, ranking=tiers, strengths=[1] * (len(tiers) - 1))


def test_a_difference_in_marks_is_relative_to_those_in_both(project, policies):
    """Three headings against one: (3 - 1) / (3 + 1) = 0.5. No item against two: -1. No bold at all: 0."""
    compared(project, policies, 1, first="# a\n# b\n# c", second="# a\n- b\n- c", ranking=1)
    services.catch_up(project=project)
    found = verdicts_of(project).marks
    assert found["headings"].tolist() == [0.5]
    assert found["items"].tolist() == [-1.0]
    assert found["bold"].tolist() == [0.0]


@pytest.fixture
def swayed(project, policies):
    """Sixty verdicts with ties; headings win more often than not, whoever wrote them."""
    for number in range(60):
        heads, ranking = number % 2, (1, 1, -1, 0, 1, 0, -1, 1, 0, -1)[(number * 7) % 10]
        marked, plain = "# Head\nText." + "x" * (number % 5), "Text."
        first, second = (marked, plain) if heads else (plain, marked)
        if number % 5 == 0:
            first, second = plain, plain
        won = ranking if heads or number % 5 == 0 else -ranking
        compared(project, policies, number, first=first, second=second, ranking=won)
    services.catch_up(project=project)
    return project


def effects(project):
    found = computed_report(project, Scope())["models"]["effects"]
    return {one["name"]: one for one in found}


def test_what_headings_add_is_what_an_independent_fit_finds(swayed):
    """Adjacent categories are a Poisson regression with an intercept for each verdict, which statsmodels fits."""
    verdicts = verdicts_of(swayed)
    grades = np.array([-1, 0, 1])
    policy = np.where(verdicts.first == 0, 1.0, -1.0)
    columns = [policy, verdicts.longer, verdicts.marks["headings"]]
    rows = len(verdicts)
    slopes = np.column_stack([np.outer(one, grades / 2).ravel() for one in columns])
    step = np.tile(np.abs(grades), rows)[:, None]
    own = np.kron(np.eye(rows), np.ones((3, 1)))
    said = (np.sign(verdicts.strengths)[:, None] == grades).astype(float).ravel()
    fit = sm.GLM(said, np.hstack([slopes, step, own]), family=sm.families.Poisson()).fit(
        tol=1e-12, maxiter=200
    )
    found = effects(swayed)["Having all the headings"]
    assert found["value"] == pytest.approx(fit.params[2], abs=1e-4)
    low, high = found["interval"]
    assert (high - low) / 2 == pytest.approx(1.96 * fit.bse[2], rel=1e-3)
    assert found["value"] > 0


def test_style_that_nobody_uses_is_no_effect(swayed):
    assert set(effects(swayed)) == {"Longer by 1,000 characters", "Having all the headings"}


def test_style_that_cannot_be_told_from_length_leaves_the_other_effects(project, policies):
    """Each heading goes with the same thousand characters, so the two are one column."""
    for number in range(36):
        first, second = ("# " + "x" * 998, "") if number % 2 else ("", "# " + "x" * 998)
        ranking = (1, 0, -1)[number // 3 % 3]
        compared(project, policies, number, first=first, second=second, ranking=ranking)
    services.catch_up(project=project)
    assert set(effects(project)) == {"Longer by 1,000 characters"}


def summary(project, client):
    client.force_login(factories.member(project, Role.ADMIN))
    return client.get(reverse("quality-agreement", args=[project.pk])).text


def test_style_is_explained_where_it_has_an_effect(swayed, client):
    assert "against a response that has none of them" in summary(swayed, client)


def test_style_is_not_explained_beside_length_alone(project, policies, client):
    for number in range(36):
        first, second = ("x" * 900, "y") if number % 2 else ("y", "x" * 900)
        compared(project, policies, number, first=first, second=second, ranking=number // 3 % 3 - 1)
    services.catch_up(project=project)
    page = summary(project, client)
    assert "longer by 1,000 characters adds" in page
    assert "against a response that has none of them" not in page
