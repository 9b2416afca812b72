"""Shapes of published data sets: OASST's message trees, Tulu's evaluation tables, WMT's relative rankings."""

from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from string import digits
from typing import Any

from annotation.prompts.readers.chats import ROLES, Turn
from annotation.prompts.readers.judged import (
    MOST_RESPONSES,
    ReadComparison,
    ReadResponse,
    Tiers,
    comparison_of,
    named,
    prompt_of,
    prompt_turns,
    rank_of,
    tiers_by_rank,
    verdict_of,
)
from annotation.prompts.readers.rows import RowRefused, check_text, seen, text_of

Fields = dict[str, Any]  # Any: JSON values
DEEPEST_TREE = 200
TULU_COLUMNS = frozenset({"model_a", "model_b", "completion_a", "completion_b", "preference"})
TULU_COLUMNS |= {"completion_a_is_acceptable", "completion_b_is_acceptable", "instance_id"}
TULU_COLUMNS |= {"evaluator", "comment", "comments", "timestamp", "instance_quality"}
TULU_PREFERENCES: dict[str, tuple[Tiers, tuple[int, ...]]] = {
    "a-is-better": (((0,), (1,)), (2,)),
    "a-is-slightly-better": (((0,), (1,)), (1,)),
    "tie": (((0, 1),), ()),
    "b-is-slightly-better": (((1,), (0,)), (1,)),
    "b-is-better": (((1,), (0,)), (2,)),
}
SOURCE_COLUMNS = ("source_text", "sourceText", "src", "segment")
SYSTEM_TEXTS = ("Text", "Output", "Translation", "text", "output", "translation")


def read_oasst(fields: Fields) -> tuple[ReadComparison, ...]:
    """A tree of messages: a comparison wherever a prompter's message has two or more ranked replies."""
    root = fields.get("prompt")
    if not isinstance(root, dict):
        raise RowRefused(f"The tree has no prompt message; seen: {seen(fields)}.")
    found = tuple(_ranked_replies(root, [], fields))
    if not found:
        raise RowRefused("No message of this tree has two replies with ranks.")
    return found


def _ranked_replies(message: Fields, before: list[Turn], tree: Fields) -> Iterator[ReadComparison]:
    if len(before) > DEEPEST_TREE:
        raise RowRefused(f"The tree is deeper than {DEEPEST_TREE} messages.")
    turns = [*before, _turn(message)]
    replies = [one for one in message.get("replies") or [] if _stands(one)]
    if turns[-1]["role"] == "user":
        ranked = [one for one in replies if isinstance(one.get("rank"), int)]
        if len(ranked) > 1:
            yield _comparison(message, turns, ranked, tree)
    for reply in replies:
        yield from _ranked_replies(reply, turns, tree)


def _stands(message: object) -> bool:
    return isinstance(message, dict) and not message.get("deleted")


def _turn(message: Fields) -> Turn:
    role = ROLES.get(str(message.get("role")))
    if role is None:
        raise RowRefused(f"A message is of {str(message.get('role'))[:40]!r}, not of prompter.")
    return Turn(role=role, content=check_text(text_of(message, "text"), "A message"))


def _comparison(
    message: Fields, turns: list[Turn], ranked: list[Fields], tree: Fields
) -> ReadComparison:
    name = text_of(message, "message_id", limit=200)
    facts = {"id": name, "language": message.get("lang")}
    left_out = _left_out(name, ranked)
    ranked = sorted(ranked, key=itemgetter("rank"))[:MOST_RESPONSES]
    ranks = [rank_of(one["rank"], place) for place, one in enumerate(ranked)]
    verdict = verdict_of(tree if "labeler" in tree else {}, tiers_by_rank(ranks))
    responses = [
        ReadResponse(text_of(one, "text"), text_of(one, "model_name", limit=200)) for one in ranked
    ]
    found = comparison_of(prompt_of(facts, turns), responses, [verdict])
    return replace(found, left_out=left_out)


def _left_out(message_id: str, ranked: list[Fields]) -> str:
    if len(ranked) <= MOST_RESPONSES:
        return ""
    return (
        f"Message {message_id[:80]!r} has {len(ranked)} ranked replies: the {MOST_RESPONSES} of the best ranks "
        f"are compared, {len(ranked) - MOST_RESPONSES} are left out."
    )


def read_tulu(fields: Fields) -> ReadComparison:
    """A row of Tulu's human evaluation: a preference in five steps, and whether each completion is acceptable."""
    said = text_of(fields, "preference").strip().lower()
    if said not in TULU_PREFERENCES:
        known = ", ".join(TULU_PREFERENCES)
        raise RowRefused(f"preference is {said[:40]!r}; it is one of {known}.")
    tiers, strengths = TULU_PREFERENCES[said]
    acceptable = [text_of(fields, f"completion_{one}_is_acceptable").lower() for one in "ab"]
    if said == "tie" and acceptable == ["no", "no"]:
        tiers, strengths = (), ()
    responses = [
        ReadResponse(
            text_of(fields, f"completion_{one}"), text_of(fields, f"model_{one}", limit=200)
        )
        for one in "ab"
    ]
    facts = {**fields, "id": fields.get("id") or fields.get("instance_id")}
    verdict = verdict_of(fields, tiers, strengths=strengths)
    return comparison_of(prompt_of(facts, prompt_turns(fields)), responses, [verdict])


def read_wmt(fields: Fields) -> ReadComparison:
    """A relative ranking: system1Id, system1rank and the system's text, up to nine systems; rank -1 is none given."""
    numbers = [one for one in digits[1:] if _is_ranked(fields, one)]
    ranks = [rank_of(_number(fields[f"system{one}rank"]), int(one) - 1) for one in numbers]
    responses = [
        ReadResponse(_system_text(fields, one), text_of(fields, f"system{one}Id", limit=200))
        for one in numbers
    ]
    source = next((text for name in SOURCE_COLUMNS if (text := text_of(fields, name))), "")
    if not source.strip():
        raise RowRefused(
            "The row has no source text; add the columns source_text and system1Text to system5Text."
        )
    judge = text_of(fields, "judgeID") or text_of(fields, "judgeId")
    pair = "-".join(text_of(fields, name, limit=20) for name in ("srclang", "trglang"))
    facts = {"id": _segment(fields), "category": pair, "language": fields.get("trglang")}
    prompt = prompt_of(facts, [Turn(role="user", content=source)])
    verdict = verdict_of({}, tiers_by_rank(ranks), labeler=named(judge) if judge else "")
    return comparison_of(prompt, responses, [verdict])


def _is_ranked(fields: Fields, number: str) -> bool:
    return text_of(fields, f"system{number}rank").strip() not in {"", "-1"}


def _number(value: object) -> object:
    said = str(value).strip()
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 4 else said


def _system_text(fields: Fields, number: str) -> str:
    names = (f"system{number}{name}" for name in SYSTEM_TEXTS)
    text = next((text for name in names if (text := text_of(fields, name))), "")
    if not text.strip():
        raise RowRefused(
            f"The row has a rank for system {number} and no text; add the column system{number}Text."
        )
    return text


def _segment(fields: Fields) -> str:
    parts = [text_of(fields, name, limit=90) for name in ("documentId", "segmentId")]
    return ":".join(part for part in parts if part)


WMT_COLUMNS = frozenset(
    {f"system{one}{name}" for one in digits[1:] for name in ("Id", "rank", *SYSTEM_TEXTS)}
    | {*SOURCE_COLUMNS, "judgeID", "judgeId", "srclang", "trglang", "documentId", "segmentId"}
)
