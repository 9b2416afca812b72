"""Chosen/rejected rows (TRL standard and conversational, HH), and groups of ranked responses."""

from dataclasses import replace
from typing import Any

from annotation.prompts.readers import chats
from annotation.prompts.readers.chats import Turn
from annotation.prompts.readers.details import with_told_details
from annotation.prompts.readers.judged import (
    DEFAULT_LABELER,
    ReadComparison,
    ReadResponse,
    ReadVerdict,
    Tiers,
    comparison_of,
    is_finished,
    is_true,
    margin_of,
    prompt_of,
    prompt_turns,
    propensity_of,
    rank_of,
    steps_of,
    tiers_by_rank,
    verdict_of,
)
from annotation.prompts.readers.rows import RowRefused, seen, text_of
from training.spec.records import EDITS

PREFERENCE_COLUMNS = frozenset({"chosen", "rejected", "chosen_model", "rejected_model"})
PREFERENCE_COLUMNS |= {"chosen_is_finished", "rejected_is_finished"}
PREFERENCE_COLUMNS |= {"responses", "ranks", "strength", "strengths", "margin", "soft_label"}
VOTE_COLUMNS = ("votes_chosen", "votes_rejected", "votes_tied")
BY_MACHINES = "votes_machine"  # how many of them
PREFERENCE_COLUMNS |= {*VOTE_COLUMNS, BY_MACHINES}
MOST_VOTES = 100
FIRST: Tiers = ((0,), (1,))
SECOND: Tiers = ((1,), (0,))
TIED: Tiers = ((0, 1),)


def read_preference(fields: dict[str, Any]) -> ReadComparison:
    """A row with a chosen and a rejected response; with the counts of votes, if they are there."""
    if "chosen" not in fields or "rejected" not in fields:
        raise RowRefused(
            f"The row has no chosen and rejected, and no responses; seen: {seen(fields)}."
        )
    is_counted = fields.get("votes_chosen") not in (None, "")
    if is_counted and fields.get("source") in EDITS:
        raise RowRefused(
            f"source is {fields['source']!r}: an edit over its original, which nobody compared. "
            "Export the form sft and import it as demonstrations to take the edit."
        )
    turns, chosen, rejected = _answers(fields)
    for name, text in (("chosen", chosen), ("rejected", rejected)):
        if not text.strip():
            raise RowRefused(f"{name} is empty.")
    responses = [
        ReadResponse(
            text,
            text_of(fields, f"{name}_model", limit=200),
            is_finished(fields, f"{name}_is_finished"),
        )
        for name, text in (("chosen", chosen), ("rejected", rejected))
    ]
    verdicts, left_out = [verdict_of(fields, FIRST)], ""
    if is_counted:
        verdicts, left_out = counted_verdicts(fields, FIRST)
    found = comparison_of(prompt_of(fields, turns), responses, verdicts)
    return replace(found, left_out=left_out)


def _answers(fields: dict[str, Any]) -> tuple[list[Turn], str, str]:
    """The turns before the responses, and both: in standard, conversational or HH form."""
    if not (_is_chat(fields, "chosen") or _is_chat(fields, "rejected")):
        return prompt_turns(fields), text_of(fields, "chosen"), text_of(fields, "rejected")
    turns, chosen = _answered(fields, "chosen")
    others, rejected = _answered(fields, "rejected")
    if turns != others:
        raise RowRefused("chosen and rejected answer different prompts.")
    return turns, chosen, rejected


def _is_chat(fields: dict[str, Any], name: str) -> bool:
    """Whether a response comes with turns before it: as messages, or as an HH dialogue."""
    value = fields[name]
    return isinstance(value, list) or (
        isinstance(value, str) and "prompt" not in fields and chats.is_transcript(value)
    )


def _answered(fields: dict[str, Any], name: str) -> tuple[list[Turn], str]:
    if not _is_chat(fields, name):
        return prompt_turns(fields), text_of(fields, name)
    value = fields[name]
    is_list = isinstance(value, list)
    turns = chats.turns_of(value) if is_list else chats.transcript_turns(value)
    if turns[-1]["role"] != "assistant":
        raise RowRefused(f"{name} does not end with an assistant turn.")
    before = prompt_turns(fields) if fields.get("prompt") else []
    return [*before, *_without(before, turns[:-1])], turns[-1]["content"]


def _without(before: list[Turn], turns: list[Turn]) -> list[Turn]:
    return turns[len(before) :] if turns[: len(before)] == before else turns


def counted_verdicts(fields: dict[str, Any], tiers: Tiers) -> tuple[list[ReadVerdict], str]:
    """The votes that a row counts, and what is left out of it.

    Where they do not lead to ``tiers``, as where an admin decided otherwise, ``tiers`` is the one verdict of the row.
    """
    counts = for_chosen, against, tied = [_count(fields, name) for name in VOTE_COLUMNS]
    if sum(counts) > MOST_VOTES:
        raise RowRefused(f"The row counts {sum(counts)} votes; at most {MOST_VOTES} are taken.")
    if _lead_to(tiers, for_chosen, against, tied):
        return _counted_votes(fields, for_chosen, against, tied), ""
    verdict = "a tie" if tiers == TIED else "chosen as the better one"
    return [verdict_of(fields, tiers)], (
        f"The row says {verdict} against its votes ({for_chosen} for chosen, {against} for rejected, {tied} tied): "
        "it is taken as one verdict, and the votes and soft_label are left out."
    )


def _lead_to(tiers: Tiers, for_chosen: int, against: int, tied: int) -> bool:
    """Whether a snapshot of these votes may say so: where as many are tied as lead, the aggregation decides."""
    if tiers == TIED:
        leading = max(for_chosen, against)
        return for_chosen == against > 0 or tied >= max(leading, 1)
    return for_chosen > against and for_chosen >= tied


def _counted_votes(
    fields: dict[str, Any], for_chosen: int, against: int, tied: int
) -> list[ReadVerdict]:
    """The counted votes as verdicts of "dataset 1", "dataset 2", ...: who gave them the row does not say.

    As many as machines gave are a machine's, the last of them: which ones it does not say either. Their strengths are
    such that their mean in the chosen one's favor is the row's margin.
    """
    said = text_of(fields, "margin").strip()
    total = for_chosen + against + tied
    favor = round(margin_of(said) * total) if said else 2 * for_chosen - 2 * against
    ups, downs = _strengths(favor, for_chosen, against)
    cast: list[tuple[Tiers, tuple[int, ...]]] = [
        *((FIRST, (step,)) for step in ups),
        *((SECOND, (step,)) for step in downs),
    ]
    cast += [(TIED, ())] * tied
    people = total - min(total, _count(fields, BY_MACHINES))
    return [
        _vote(fields, tiers, steps, number, is_machine=number > people)
        for number, (tiers, steps) in enumerate(cast, start=1)
    ]


def _vote(
    fields: dict[str, Any], tiers: Tiers, steps: tuple[int, ...], number: int, *, is_machine: bool
) -> ReadVerdict:
    kind = "machine " if is_machine else ""
    vote = verdict_of(fields, tiers, labeler=f"{DEFAULT_LABELER} {kind}{number}", strengths=steps)
    return replace(vote, labeler_kind="machine") if is_machine else vote


def _strengths(favor: int, ups: int, downs: int) -> tuple[list[int], list[int]]:
    """Strengths 1 to 3 of so many votes for and against, whose signed sum is as near to ``favor`` as it can be."""
    least, most = max(downs, ups - favor), min(3 * downs, 3 * ups - favor)
    against = min(max(2 * ups - favor, least), most)
    return _spread(favor + against, ups), _spread(against, downs)


def _spread(total: int, votes: int) -> list[int]:
    """``total`` over so many votes as evenly as whole numbers from 1 to 3 allow."""
    if not votes:
        return []
    each, more = divmod(min(3 * votes, max(votes, total)), votes)
    return [each + (number < more) for number in range(votes)]


def _count(fields: dict[str, Any], name: str) -> int:
    said = text_of(fields, name).strip().removesuffix(".0") or "0"
    if not (said.isascii() and said.isdecimal()) or len(said) > 6:
        raise RowRefused(f"{name} is {said[:20]!r}, not a whole number of votes.")
    return int(said)


def read_ranked(fields: dict[str, Any]) -> ReadComparison:
    """``responses``: texts with ``ranks`` beside them, or objects with text and rank; rank 0 or 1 is best.

    The text of an object may be empty: somebody ranked it.
    """
    entries = fields.get("responses")
    if not isinstance(entries, list) or not 2 <= len(entries) <= 9:
        raise RowRefused("responses is not a list of 2 to 9 responses.")
    beside = fields.get("ranks") or [None] * len(entries)
    if not isinstance(beside, list) or len(beside) != len(entries):
        raise RowRefused(f"ranks is not a list of {len(entries)} numbers, one for each response.")
    read = [
        _ranked(one, rank, n) for n, (one, rank) in enumerate(zip(entries, beside, strict=True))
    ]
    is_all_bad = all(rank is None for _, rank in read) and is_true(fields.get("is_all_bad"))
    ranks = [] if is_all_bad else [rank_of(rank, n) for n, (_, rank) in enumerate(read)]
    tiers = tiers_by_rank(ranks)
    verdict = verdict_of(fields, tiers, strengths=steps_of(fields.get("strengths"), tiers))
    prompt = prompt_of(fields, prompt_turns(fields))
    responses = [response for response, _ in read]
    found = comparison_of(prompt, responses, [with_told_details(verdict, fields, responses)])
    return replace(found, propensity=propensity_of(fields))


def _ranked(entry: object, rank: object, place: int) -> tuple[ReadResponse, object]:
    given: dict[str, Any] = entry if isinstance(entry, dict) else {"text": entry}
    if isinstance(entry, dict):
        rank = given.get("rank", rank)
    text = text_of(given, "text")
    is_told = isinstance(entry, dict) and isinstance(given.get("text"), str)
    if not (text.strip() or is_told):
        raise RowRefused(f"Response {place + 1} is empty.")
    source = text_of(given, "model", limit=200) or text_of(given, "source", limit=200)
    return ReadResponse(text, source, is_finished(given)), rank
