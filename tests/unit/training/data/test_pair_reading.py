from dataclasses import replace

import pytest

from tests.unit.training.conftest import judged_group
from training.data.chat import Limits
from training.data.demonstrations import demonstration_groups
from training.data.preferences import PairReader
from training.data.rankings import with_rankings
from training.data.tokens import Tally
from training.models.tiny import tiny_tokenizer
from training.spec.errors import DataError
from training.spec.imitation import best_candidate
from training.spec.records import CandidateText, DemonstrationText, Group, Pair

READER = PairReader(tokenizer=tiny_tokenizer(), limits=Limits(64, 64))
GROUP = judged_group(0)
FIRST = GROUP.pairs[0]


def read_one(pair: Pair, reader: PairReader = READER) -> tuple[list[object], dict[str, int]]:
    tally = Tally()
    found = reader.read([replace(GROUP, pairs=(pair,))], tally)
    return list(found), tally.as_dict()


def test_only_judged_candidates_are_computed() -> None:
    tally = Tally()
    (group,) = READER.read([replace(GROUP, pairs=(FIRST,))], tally)
    assert group.tokens.candidate_ids == ("0-good", "0-bad")
    assert tally.as_dict() == {"pairs_used": 1}


@pytest.mark.parametrize(
    ("change", "counted"),
    [
        ({"is_tie": True}, "ties_dropped"),
        ({"weight": 0.0}, "pairs_without_weight"),
    ],
)
def test_a_pair_that_teaches_nothing_is_dropped_and_counted(
    change: dict[str, object], counted: str
) -> None:
    found, tally = read_one(replace(FIRST, **change))
    assert found == []
    assert tally[counted] == 1


def test_pairs_that_differ_only_behind_the_cut_are_dropped() -> None:
    reader = replace(READER, limits=Limits(64, 1))
    group = replace(
        GROUP, candidates=(CandidateText(id="a", text="xy"), CandidateText(id="b", text="xz"))
    )
    tally = Tally()
    found = reader.read([replace(group, pairs=(Pair(chosen="a", rejected="b"),))], tally)
    assert found == []
    assert tally.as_dict()["pairs_equal_after_cut"] == 1


def test_a_kept_tie_is_half_a_win_for_each() -> None:
    found, _ = read_one(replace(FIRST, is_tie=True, margin=2.0), replace(READER, keeps_ties=True))
    pair = found[0].pairs[0]  # type: ignore[attr-defined] # a PairGroup
    assert (pair.label, pair.margin) == (0.5, 0.0)


def test_a_pair_of_an_unknown_candidate_is_a_data_error() -> None:
    with pytest.raises(DataError, match="'nobody'"):
        read_one(replace(FIRST, chosen="nobody"))


def test_a_soft_label_that_is_no_probability_is_a_data_error() -> None:
    with pytest.raises(DataError, match=r"1\.5"):
        read_one(replace(FIRST, soft_label=1.5))


def test_the_best_candidate_wins_more_than_it_loses() -> None:
    assert best_candidate(GROUP) == "0-good"


def test_an_unacceptable_winner_is_not_imitated() -> None:
    assert best_candidate(replace(GROUP, unacceptable=("0-good",))) == "0-meh"


def test_nobody_wins_a_tie() -> None:
    assert best_candidate(replace(GROUP, pairs=(replace(FIRST, is_tie=True),))) is None


def test_demonstrations_and_the_best_candidate_share_their_prompt() -> None:
    tally = Tally()
    (row,) = demonstration_groups(
        tiny_tokenizer(), [GROUP], limits=Limits(64, 64), includes_chosen=True, tally=tally
    )
    assert row.candidate_ids == ("demonstration 0", "0-good")


def test_an_edit_that_also_won_is_imitated_once() -> None:
    winner = next(one.text for one in GROUP.candidates if one.id == best_candidate(GROUP))
    group = replace(GROUP, demonstrations=(DemonstrationText(text=winner, source="edited"),))
    (row,) = demonstration_groups(
        tiny_tokenizer(), [group], limits=Limits(64, 64), includes_chosen=True, tally=Tally()
    )
    assert row.candidate_ids == ("demonstration 0",)


def test_a_prompt_with_nothing_to_imitate_is_counted() -> None:
    tally = Tally()
    bare = Group(prompt_id="p", prompt=GROUP.prompt)
    rows = demonstration_groups(
        tiny_tokenizer(), [bare], limits=Limits(64, 64), includes_chosen=True, tally=tally
    )
    assert rows == []
    assert tally.as_dict() == {"prompts_without_a_response": 1}


@pytest.mark.parametrize(
    ("votes", "is_tie", "share"),
    [
        ((2, 1, 1), False, 0.25),
        ((1, 1, 2), True, 0.5),
        ((1, 1, 0), True, 0.0),
        ((3, 0, 0), True, 1.0),  # an admin's verdict over three votes
        ((0, 0, 3), False, 0.0),
        ((0, 0, 0), True, 1.0),
    ],
)
def test_the_share_of_ties_is_that_of_the_votes_unless_the_verdict_is_another(
    votes: tuple[int, int, int], is_tie: bool, share: float
) -> None:
    won, lost, tied = map(float, votes)
    pair = replace(FIRST, is_tie=is_tie, votes_chosen=won, votes_rejected=lost, votes_tied=tied)
    found, _ = read_one(pair, replace(READER, keeps_ties=True))
    assert found[0].pairs[0].tied == share  # type: ignore[attr-defined] # a PairGroup


def orders(*pairs: tuple[str, str], tied: tuple[str, str] | None = None) -> tuple[list[str], Tally]:
    """The ranking found in these pairs of a, b and c, and the tally."""
    texts = tuple(CandidateText(id=name, text=name) for name in "abc")
    judged = [Pair(chosen=better, rejected=worse) for better, worse in pairs]
    judged += [Pair(chosen=tied[0], rejected=tied[1], is_tie=True)] if tied else []
    group = replace(GROUP, candidates=texts, pairs=tuple(judged))
    tally = Tally()
    (row,) = with_rankings(replace(READER, keeps_ties=True).read([group], tally), tally)
    return ["abc"[at] for at in row.ranking], tally


@pytest.mark.parametrize(
    ("pairs", "order"),
    [
        ([("b", "a"), ("a", "c"), ("b", "c")], ["b", "a", "c"]),
        ([("c", "a"), ("a", "b")], ["c", "a", "b"]),
        ([("a", "b"), ("a", "c")], []),
        ([("a", "b"), ("b", "c"), ("c", "a")], []),
        ([("a", "b")], []),
    ],
    ids=["all", "chain", "two orders", "circle", "pair"],
)
def test_a_ranking_is_the_only_order_that_pairs_leave(
    pairs: list[tuple[str, str]], order: list[str]
) -> None:
    found, tally = orders(*pairs)
    assert found == order
    counted = "prompts_ranked" if order else "prompts_without_a_ranking"
    assert tally.as_dict()[counted] == 1


def test_a_kept_tie_is_no_rank() -> None:
    assert orders(("a", "b"), ("b", "c"), tied=("a", "c"))[0] == []
