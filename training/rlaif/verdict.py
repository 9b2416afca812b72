"""Reading a judge's answer: what it says exactly, or nothing. An answer that cannot be read is never a tie."""

from enum import StrEnum

LONGEST_READ = 100_000  # characters; a verdict stands at the end
LONGEST_WORD = 100


class Verdict(StrEnum):
    """Which of the two responses, as they stood in the question."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"


_WORDS = {"A": Verdict.FIRST, "B": Verdict.SECOND, "TIE": Verdict.TIE}
_FIELDS = ("VERDICT", "ANSWER", "RESPONSE")  # that may stand before a word that was to be alone
_DECORATION = " \t\r\n*_`\"'[]()#."


def read_word(text: str, *, has_tie: bool) -> Verdict | None:
    """The verdict of an answer that was to be one word; None where it is anything else."""
    if len(text) > LONGEST_WORD:
        return None
    said = text.strip(_DECORATION).upper()
    for field in _FIELDS:
        rest = said.removeprefix(field)
        if rest != said and rest[:1] in {" ", ":", "*"}:
            said = rest.strip(_DECORATION + ":")
            break
    return _allowed(said, has_tie=has_tie)


def read_reasoned(text: str, *, has_tie: bool) -> Verdict | None:
    """The verdict of an answer with reasons: its last line that is not empty, and no other line contradicts it."""
    lines = text[-LONGEST_READ:].strip().split("\n")
    said = {word for line in lines if (word := _named(line)) in _WORDS}
    last = _named(lines[-1])
    return _allowed(last, has_tie=has_tie) if said == {last} else None


def _named(line: str) -> str:
    """What a line says after `VERDICT:`; empty for any other line."""
    name, sign, rest = line.partition(":")
    is_verdict = sign and name.strip(_DECORATION).upper() == "VERDICT"
    return rest.strip(_DECORATION).upper() if is_verdict else ""


def _allowed(word: str, *, has_tie: bool) -> Verdict | None:
    verdict = _WORDS.get(word)
    return None if verdict is Verdict.TIE and not has_tie else verdict
