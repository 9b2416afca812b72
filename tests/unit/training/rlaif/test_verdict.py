"""A verdict is read strictly: what is not said exactly is not read, and never a tie."""

import pytest

from training.rlaif.verdict import Verdict, read_reasoned, read_word


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("A", Verdict.FIRST),
        (" b.\n", Verdict.SECOND),
        ("**TIE**", Verdict.TIE),
        ('"A"', Verdict.FIRST),
        ("Verdict: B", Verdict.SECOND),
        ("Response A", Verdict.FIRST),
        ("[[B]]", Verdict.SECOND),
    ],
)
def test_one_word_is_read(text, verdict):
    assert read_word(text, has_tie=True) is verdict


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A or B",
        "A B",
        "Apple",
        "I think A",
        "A, because it is longer",
        "Neither",
        "C",
        "AB",
        "TIED",
    ],
)
def test_anything_else_is_not_read(text):
    assert read_word(text, has_tie=True) is None


def test_a_tie_is_not_read_where_the_scale_has_none():
    assert read_word("TIE", has_tie=False) is None
    assert read_reasoned("Equal.\nVERDICT: TIE", has_tie=False) is None


def test_the_last_line_is_the_verdict_of_an_answer_with_reasons():
    assert read_reasoned("A is longer.\n\nVERDICT: B\n", has_tie=True) is Verdict.SECOND
    assert read_reasoned("Both fine.\n**Verdict: TIE**", has_tie=True) is Verdict.TIE


@pytest.mark.parametrize(
    "text",
    [
        "I prefer A.",
        "VERDICT: A\nBut on second thought, hmm.",
        "VERDICT: A\nVERDICT: B",
        "VERDICT: A or B",
        "So VERDICT: A",
    ],
)
def test_an_answer_that_contradicts_itself_or_goes_on_is_not_read(text):
    assert read_reasoned(text, has_tie=True) is None


def test_a_very_long_answer_is_read_at_once():
    assert read_reasoned("verdict: " * 50_000 + "\nVERDICT: A", has_tie=True) is Verdict.FIRST
    assert read_word("*" * 200_000, has_tie=True) is None
