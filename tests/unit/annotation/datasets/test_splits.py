"""Splits: by the last user turn, by shares, checked for leaks."""

from collections import Counter

import pytest

from annotation.datasets.query import SnapshotQuery
from annotation.datasets.splits import LeakCheck
from training.spec.records import Turn
from training.spec.splits import split_key


def user(content):
    return (Turn(role="user", content=content),)


@pytest.mark.parametrize("near", ["what is a KL?", " What  is a KL?\r\n", "What is a\tKL?"])
def test_near_duplicates_have_one_key(near):
    assert split_key(user(near)) == split_key(user("What is a KL?"))


def test_only_the_last_user_turn_counts():
    longer = (*user("Hello"), Turn(role="assistant", content="Hi"), *user("And then?"))
    assert split_key(longer) == split_key(user("And then?"))


def test_shares_are_met_within_chance():
    """10,000 draws at .8: a standard error of .004, so .02 is five of them."""
    splits = Counter(SnapshotQuery().split_of(split_key(user(str(n)))) for n in range(10_000))
    assert splits["train"] / 10_000 == pytest.approx(0.8, abs=0.02)


def test_another_seed_deals_anew():
    keys = [split_key(user(str(n))) for n in range(200)]
    dealt = [[SnapshotQuery(seed=seed).split_of(key) for key in keys] for seed in (1, 2)]
    assert dealt[0] != dealt[1]


def test_a_share_of_nothing_gets_nothing():
    query = SnapshotQuery(train=1.0, validation=0.0, test=0.0)
    assert {query.split_of(split_key(user(str(n)))) for n in range(100)} == {"train"}


def test_a_turn_in_two_splits_is_a_leak():
    check = LeakCheck()
    check.add(5, "train")
    check.add(5, "train")
    check.add(6, "test")
    assert check.leaks() == 0
    check.add(5, "test")
    assert check.leaks() == 1


def test_prompts_alike_are_all_that_share_a_last_turn_whatever_their_split():
    """5 three times and 7 twice: five prompts; 6 and 8 stand alone."""
    check = LeakCheck()
    for key, split in (
        (5, "train"),
        (5, "train"),
        (6, "test"),
        (5, "train"),
        (7, "test"),
        (7, "test"),
    ):
        check.add(key, split)
    check.add(8, "validation")
    assert (check.alike(), LeakCheck().alike()) == (5, 0)
