from dataclasses import replace

import pytest

from tests.unit.training.conftest import judged_group
from training.data.chat import Limits
from training.data.demonstrations import best_candidate, demonstration_groups
from training.data.preferences import PairReader
from training.data.tokens import Tally
from training.models.tiny import tiny_tokenizer
from training.spec.errors import DataError
from training.spec.records import CandidateText, Group, Pair

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


def test_a_prompt_with_nothing_to_imitate_is_counted() -> None:
    tally = Tally()
    bare = Group(prompt_id="p", prompt=GROUP.prompt)
    rows = demonstration_groups(
        tiny_tokenizer(), [bare], limits=Limits(64, 64), includes_chosen=True, tally=tally
    )
    assert rows == []
    assert tally.as_dict() == {"prompts_without_a_response": 1}
