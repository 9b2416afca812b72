"""The stored columns say what the judgments say, whatever was edited, withdrawn or deleted."""

import random

import numpy as np
import pytest
from django.utils import timezone

from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.selectors import OVERALL, pair_rows
from annotation.projects.models import Criterion
from annotation.quality import stored, storing
from annotation.quality.judged import count_votes, given_here
from annotation.quality.models import ColumnStore, JudgmentChange, RowChunk
from tests import factories

pytestmark = pytest.mark.django_db


def said(project, criterion=OVERALL):
    """What the stored columns hold, as tuples."""
    columns = stored.load_columns(project, criterion)
    pairs = [
        columns.pairs[name][columns.rows["pair"]] for name in ("comparison", "first", "second")
    ]
    return sorted(
        (
            int(judgment),
            *map(int, pair),
            columns.labeler_ids[row["labeler"]],
            int(row["said"] & stored.STRENGTH) - 3,
            int(row["said"] >> stored.LEFT_SHIFT & stored.LEFT),
            int(row["given_at"]),
        )
        for judgment, row, pair in zip(
            columns.judgments, columns.rows.rows(), zip(*pairs, strict=True), strict=True
        )
    )


def told(project, criterion=OVERALL):
    """What the judgments themselves say, the slow way."""
    places = {True: stored.LEFT_CODE, False: stored.RIGHT_CODE, None: stored.PLACE_UNKNOWN}
    return sorted(
        (
            row.judgment_id,
            row.comparison_id,
            row.first_id,
            row.second_id,
            row.labeler_id,
            4 if row.is_all_bad else row.strength,
            places[row.is_first_shown_left],
            int(row.created_at.timestamp()),
        )
        for row in pair_rows(project, criterion=criterion)
    )


def verdict(draw, comparison):
    """A random verdict on a comparison of any size."""
    ids = draw.sample(comparison.candidate_ids, len(comparison.candidate_ids))
    if draw.random() < 0.1:
        return {"is_all_bad": True, "ranking": [], "strengths": []}
    cut = draw.randint(1, len(ids))
    ranking = [sorted(ids[:cut]), *[[pk] for pk in ids[cut:]]]
    strengths = [draw.randint(1, 3) for _ in ranking[1:]]
    return {"is_all_bad": False, "ranking": ranking, "strengths": strengths}


def test_random_edits_leave_the_columns_equal_to_the_judgments(project):
    """Given, changed, withdrawn, made surplus, deleted, moved to gold: 300 acts, folded at random moments."""
    draw = random.Random(5)  # noqa: S311 - a test's own draws
    labelers = [factories.user() for _ in range(6)]
    comparisons = [
        factories.comparison(factories.prompt(project), size=size) for size in (2, 2, 2, 2, 3, 4)
    ]
    for _ in range(300):
        comparison, labeler = draw.choice(comparisons), draw.choice(labelers)
        standing = Judgment.objects.filter(comparison=comparison, labeler=labeler)
        mine = standing.filter(withdrawn_at=None).first()
        act = draw.random()
        if mine is None:
            order = draw.sample(comparison.candidate_ids, len(comparison.candidate_ids))
            shown = draw.choice([[], order])
            factories.judgment(comparison, labeler, shown_order=shown, **verdict(draw, comparison))
        elif act < 0.3:
            standing.filter(pk=mine.pk).update(withdrawn_at=timezone.now())
        elif act < 0.4:
            mine.delete()
        elif act < 0.5:
            standing.filter(pk=mine.pk).update(is_counted=not mine.is_counted)
        else:
            standing.filter(pk=mine.pk).update(**verdict(draw, comparison))
        if draw.random() < 0.2:
            storing.fold_changes(project=project)
    storing.fold_changes(project=project)
    assert said(project) == told(project)
    assert len(said(project)) > 10


def test_a_fold_takes_what_was_noted_and_names_the_comparison(project):
    comparison = factories.comparison(factories.prompt(project))
    judgment = factories.judgment(comparison)
    assert stored.is_behind(project)
    assert storing.fold_changes(project=project) == 1
    assert ColumnStore.objects.get(project=project).unresolved_ids == [comparison.pk]
    assert not stored.is_behind(project)
    judgment.delete()
    assert storing.fold_changes(project=project) == 1
    assert len(stored.load_columns(project, OVERALL)) == 0


def test_a_judgment_on_another_project_is_not_touched(project):
    other = factories.comparison(factories.prompt(factories.project()))
    factories.judgment(other)
    assert storing.fold_changes(project=project) == 0
    assert JudgmentChange.objects.count() == 1


def test_each_criterion_has_columns_of_its_own(project):
    Criterion.objects.create(project=project, name="honest", question="Which is more honest?")
    comparison = factories.comparison(factories.prompt(project))
    first, second = comparison.candidate_ids
    factories.judgment(
        comparison, criteria={"honest": {"ranking": [[second], [first]], "strengths": [3]}}
    )
    factories.judgment(comparison)
    storing.fold_changes(project=project)
    assert said(project, "honest") == told(project, "honest")
    assert len(said(project, "honest")) == 1
    assert len(said(project)) == 2


def test_a_repeat_is_kept_and_marked(project):
    comparison = factories.comparison(factories.prompt(project))
    labeler = factories.user()
    factories.judgment(comparison, labeler)
    factories.judgment(comparison, labeler, is_repeat=True)
    storing.fold_changes(project=project)
    columns = stored.load_columns(project, OVERALL)
    assert ((columns.rows["said"] & stored.REPEAT) > 0).sum() == 1
    assert len(told(project)) == 1


def test_a_comparison_made_gold_is_gold_in_the_columns(project):
    comparison = factories.comparison(factories.prompt(project), size=3)
    factories.judgment(comparison)
    storing.fold_changes(project=project)
    Comparison.objects.filter(pk=comparison.pk).update(kind="gold")
    storing.fold_changes(project=project)
    columns = stored.load_columns(project, OVERALL)
    assert (columns.pairs["kind"] == stored.GOLD).all()
    assert len(columns.pairs) == 3


def test_chunks_are_filled_before_others_begin(project, monkeypatch):
    monkeypatch.setattr(storing, "CHUNK", 4)
    monkeypatch.setattr(storing, "BATCH", 3)
    comparison = factories.comparison(factories.prompt(project))
    for _ in range(10):
        factories.judgment(comparison)
    storing.fold_changes(project=project)
    assert list(RowChunk.objects.order_by("number").values_list("rows", flat=True)) == [4, 4, 2]
    assert said(project) == told(project)


def test_rebuilding_gives_the_same_columns(project):
    comparison = factories.comparison(factories.prompt(project), size=3)
    for _ in range(3):
        factories.judgment(comparison)
    storing.fold_changes(project=project)
    before = said(project)
    storing.rebuild_columns(project=project)
    assert said(project) == before == told(project)
    assert np.array_equal(np.unique([row[1] for row in before]), [comparison.pk])


@pytest.mark.parametrize("kept", [[0, 1, 2], [1, 2], [2]])
def test_a_ranking_of_three_counts_once_whichever_of_its_pairs_are_kept(project, kept):
    """Beside it one judgment of a pair by the same labeler: two judgments each time."""
    labeler, prompt = factories.user(), factories.prompt(project)
    ranking = factories.judgment(factories.comparison(prompt, size=3), labeler)
    factories.judgment(factories.comparison(prompt), labeler)
    storing.fold_changes(project=project)
    columns = stored.load_columns(project, OVERALL)
    mask = columns.judgments != ranking.pk
    mask[np.flatnonzero(~mask)[kept]] = True
    assert given_here(columns, mask) == {labeler.pk: 2}
    assert count_votes(columns, mask).given_here == 2
