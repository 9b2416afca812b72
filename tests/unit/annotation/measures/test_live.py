"""The live histogram and a batch over the same judgments are one."""

import numpy as np
import pytest

from annotation.measures.coefficients import Level, alpha, identity_weights
from annotation.measures.live import LivePatterns
from annotation.measures.moments import moments_of
from annotation.measures.table import PatternIndex, RatingTable, Scale

SCALE = Scale(("a", "tie", "b"))


def histogram(patterns):
    return dict(zip(map(tuple, patterns.counts), patterns.items, strict=True))


def test_ten_thousand_random_edits_leave_the_same_patterns_as_a_batch():
    random = np.random.default_rng(9)
    live, judgments = LivePatterns(SCALE), {}
    for item, labeler, label, act in zip(
        random.integers(0, 300, 10_000),
        random.integers(0, 8, 10_000),
        random.integers(0, 3, 10_000),
        random.random(10_000),
        strict=True,
    ):
        earlier = judgments.pop((item, labeler), None)
        if earlier is not None:
            live.remove(item=item, label=earlier)
        if act < 0.8:
            live.add(item=item, label=label)
            judgments[item, labeler] = label
    items, labelers = np.array(list(judgments)).T
    batch = PatternIndex(
        RatingTable.from_columns(items, labelers, np.array(list(judgments.values())), SCALE)
    ).patterns
    weights = identity_weights(3)
    assert histogram(live.patterns()) == histogram(batch)
    assert alpha(moments_of(live.patterns(), weights), Level.ORDINAL, SCALE) == pytest.approx(
        float(alpha(moments_of(batch, weights), Level.ORDINAL, SCALE)), abs=1e-12
    )


def test_a_label_that_was_never_given_cannot_be_taken_back():
    live = LivePatterns(SCALE)
    live.add(item=3, label=0)
    with pytest.raises(ValueError, match="Item 3 has no label 'b'"):
        live.remove(item=3, label=2)


def test_nothing_judged_shows_no_pattern():
    live = LivePatterns(SCALE)
    live.add(item=1, label=0)
    live.remove(item=1, label=0)
    assert len(live.patterns().items) == 0
