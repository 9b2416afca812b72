"""A response that a token limit cut has no end: nobody learns that a text ends in the middle of a sentence."""

import json
from dataclasses import replace

import pytest

from tests.unit.training.conftest import judged_group
from training.data.chat import Limits
from training.data.demonstrations import demonstration_groups
from training.data.packing import TokenGroup
from training.data.preferences import PairReader
from training.data.signals import signal_groups
from training.data.tokens import Tally
from training.models.tiny import tiny_tokenizer
from training.spec.errors import DataError
from training.spec.records import DemonstrationText, Group, group_from_dict, group_to_json

TOKENIZER = tiny_tokenizer()
LIMITS = Limits(64, 64)
WHOLE = judged_group(0)


def with_cut(name: str) -> Group:
    """The judged group in which the candidate of this name was cut when it was sampled."""
    candidates = tuple(
        replace(one, is_finished=not one.id.endswith(name)) for one in WHOLE.candidates
    )
    return replace(WHOLE, candidates=candidates)


def ended(tokens: TokenGroup) -> dict[str, bool]:
    """Which responses have an end token, by name."""
    ends = [ids[-1] == TOKENIZER.eos_token_id for ids in tokens.responses]
    return dict(zip(tokens.candidate_ids, ends, strict=False))  # KTO adds one of another prompt


def test_a_cut_response_stays_cut_in_a_record() -> None:
    group = with_cut("bad")
    assert group_from_dict(json.loads(group_to_json(group))) == group


def test_a_record_says_nothing_of_responses_that_ended() -> None:
    """So that snapshots of such responses alone keep their bytes, and older ones are read as they were."""
    assert "is_finished" not in group_to_json(WHOLE)
    assert group_to_json(with_cut("bad")).count("is_finished") == 1


def test_an_imported_text_to_imitate_that_was_cut_stays_so_and_has_no_end() -> None:
    cut = DemonstrationText(text="It is because of", source="imported", is_finished=False)
    group = replace(WHOLE, demonstrations=(cut,))
    assert group_from_dict(json.loads(group_to_json(group))) == group
    (row,) = demonstration_groups(
        TOKENIZER, [group], limits=LIMITS, includes_chosen=False, tally=Tally()
    )
    assert ended(row) == {"demonstration 0": False}


@pytest.mark.parametrize("value", [None, 0, "false"])
def test_a_record_says_true_or_false(value: object) -> None:
    row = json.loads(group_to_json(WHOLE))
    row["candidates"][0]["is_finished"] = value
    with pytest.raises(DataError, match=f"is_finished of 0-good is {value!r}, not true or false"):
        group_from_dict(row)


@pytest.mark.parametrize("name", ["good", "bad"])
def test_a_pair_is_learned_from_without_the_end_of_what_was_cut(name: str) -> None:
    tally = Tally()
    (row,) = PairReader(tokenizer=TOKENIZER, limits=LIMITS).read([with_cut(name)], tally)
    assert ended(row.tokens) == {f"0-{one}": one != name for one in ("good", "bad", "meh")}
    assert tally.as_dict()["responses_without_an_end"] == 1


def test_a_cut_winner_is_imitated_without_an_end_and_a_demonstration_with_one() -> None:
    (row,) = demonstration_groups(
        TOKENIZER, [with_cut("good")], limits=LIMITS, includes_chosen=True, tally=Tally()
    )
    assert ended(row) == {"demonstration 0": True, "0-good": False}


def test_a_cut_text_that_a_person_wrote_again_is_whole() -> None:
    group = with_cut("good")
    written = DemonstrationText(text=group.text_of("0-good"))
    (row,) = demonstration_groups(
        TOKENIZER,
        [replace(group, demonstrations=(written,))],
        limits=LIMITS,
        includes_chosen=True,
        tally=Tally(),
    )
    assert ended(row) == {"demonstration 0": True}


def test_a_single_response_is_learned_from_without_the_end_that_it_has_not() -> None:
    (row,) = signal_groups(TOKENIZER, [with_cut("bad")], limits=LIMITS, tally=Tally())
    assert ended(row.tokens) == {"0-good": True, "0-bad": False, "0-meh": True}
