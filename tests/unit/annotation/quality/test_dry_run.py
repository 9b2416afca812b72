"""What becomes of each preference under a rule: every one is counted once."""

from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from annotation.comparisons.selectors import PairRow
from annotation.quality.columns import PairColumns, columns_of
from annotation.quality.dryrun import DryRun, effects_of, effects_of_counting
from annotation.quality.exclusions import Exclusion

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEFT_OUT = (901, 902, 903)
COUNTS = ("kept", "flipped", "evened", "decided", "bad", "lost")


def columns(*pairs: tuple[str, str]) -> PairColumns:
    """What others and those of the rule said of each pair: `>` the first, `<` the second, `=` a tie, `x` all bad."""
    return columns_of(
        _row(1000 * pair + turn, pair, labeler, said)
        for pair, (others, theirs) in enumerate(pairs)
        for turn, (labeler, said) in enumerate(
            [*enumerate(others, 1), *zip(LEFT_OUT, theirs, strict=False)]
        )
    )


def _row(judgment: int, pair: int, labeler: int, said: str) -> PairRow:
    strength = {"<": -1, ">": 1, "=": 0, "x": 0}[said]
    return PairRow(
        judgment, pair, 1, 2 * pair, 2 * pair + 1, labeler, strength, said == "x", None, 0, NOW, None, "normal"
    )  # fmt: skip


def left_out(*pairs: tuple[str, str]) -> DryRun:
    exclusion = Exclusion(rule=1, version=1, labelers=LEFT_OUT)
    return effects_of(columns(*pairs), already=(), exclusion=exclusion)


def counts(found: DryRun) -> dict[str, int]:
    return {name: asdict(found)[f"preferences_{name}"] for name in COUNTS}


CASES = [
    (">>", "<", "kept"),  # 2 : 1, then 2 : 0
    ("><", "", "kept"),  # nobody is left out
    ("><", "<>", "kept"),  # even before and after
    ("<", ">>", "flipped"),  # 2 : 1, then 0 : 1
    ("><", ">", "evened"),  # 2 : 1, then 1 : 1
    ("=", ">>", "evened"),  # the tie is alone
    (">", "<", "decided"),  # 1 : 1, then 1 : 0
    (">", "=", "decided"),  # a tie as often as the best is even
    ("x", ">>", "bad"),  # one all bad of three, then of one
    (">", "xx", "bad"),
    ("><", "xxx", "bad"),
    ("", ">", "lost"),
]


@pytest.mark.parametrize(("others", "theirs", "becomes"), CASES)
def test_a_preference_becomes_one_thing(others, theirs, becomes):
    assert counts(left_out((others, theirs))) == {name: int(name == becomes) for name in COUNTS}


def test_all_that_preferences_become_adds_up_to_them():
    """The twelve pairs above: 3 kept, 1 flipped, 2 evened, 2 decided, 3 by all bad, 1 lost."""
    found = left_out(*((others, theirs) for others, theirs, _ in CASES))
    expected = {"kept": 3, "flipped": 1, "evened": 2, "decided": 2, "bad": 3, "lost": 1}
    assert counts(found) == expected
    assert found.preferences == sum(expected.values()) == 12
    assert found.flipped_percent == "8.3 %"  # 1 of 12


def test_what_a_machine_judge_adds_is_told_the_same_way():
    """Pairs 1 : 0 made even, 0 : 1 turned, even decided, and one that no person judged."""
    pairs = columns((">", "<"), ("<", ">>"), ("><", ">"), ("", ">"))
    found = effects_of_counting(pairs, already=(), machines=LEFT_OUT)
    expected = {"kept": 0, "flipped": 1, "evened": 1, "decided": 1, "bad": 0, "lost": 0}
    assert counts(found) == expected
    assert (found.preferences, found.preferences_gained) == (3, 1)
