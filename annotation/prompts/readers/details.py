"""What a vote says beside its verdict: under criteria, in marks, and in which order the responses were shown."""

from dataclasses import replace
from typing import Any

from annotation.prompts.readers.judged import (
    ReadMark,
    ReadResponse,
    ReadVerdict,
    Tiers,
    steps_of,
    whole_of,
)
from annotation.prompts.readers.rows import RowRefused, text_of

Fields = dict[str, Any]  # Any: JSON values
DETAILS = ("criteria", "marks", "shown_order")
MARK_KEYS = frozenset({"response", "start", "end"})
MOST_CRITERIA = 50
MOST_MARKS = 1_000


def with_details(
    verdict: ReadVerdict, fields: Fields, responses: list[ReadResponse]
) -> ReadVerdict:
    """The verdict with criteria, marks and the order shown, where the row tells them."""
    return replace(
        verdict,
        criteria=_criteria(fields.get("criteria") or {}, len(responses)),
        marks=_marks(fields.get("marks") or [], responses),
        shown=_shown(fields.get("shown_order") or [], len(responses)),
    )


def with_told_details(
    verdict: ReadVerdict, fields: Fields, responses: list[ReadResponse]
) -> ReadVerdict:
    """The same of a table that others write too: a column of such a name in another shape is theirs."""
    told = {name: fields[name] for name in DETAILS if _is_ours(name, fields.get(name), responses)}
    return with_details(verdict, told, responses) if told else verdict


def _is_ours(name: str, value: object, responses: list[ReadResponse]) -> bool:
    """Whether it has the shape in which an export writes it."""
    if name == "criteria":
        return isinstance(value, dict) and all(
            isinstance(one, dict) and "ranking" in one for one in value.values()
        )
    if not isinstance(value, list):
        return False
    if name == "marks":
        return all(isinstance(one, dict) and one.keys() >= MARK_KEYS for one in value)
    is_whole = all(type(place) is int for place in value)
    return is_whole and sorted(value) == list(range(len(responses)))


def tiers_of_places(value: object, count: int, name: str) -> Tiers:
    """Tiers that name each place once, or no tier."""
    if value in (None, ""):
        return ()
    if not isinstance(value, list) or not all(isinstance(tier, list) for tier in value):
        raise RowRefused(f"{name} is {str(value)[:40]}, not a list of lists of places.")
    named = [place for tier in value for place in tier]
    if value and (
        not all(tier for tier in value)
        or any(type(place) is not int for place in named)
        or sorted(named) != list(range(count))
    ):
        raise RowRefused(
            f"{name} names the places {str(named)[:60]}, not each of 0 to {count - 1} once."
        )
    return tuple(tuple(sorted(tier)) for tier in value)


def _criteria(value: object, count: int) -> dict[str, tuple[Tiers, tuple[int, ...]]]:
    if not isinstance(value, dict) or len(value) > MOST_CRITERIA:
        raise RowRefused(f"criteria is not an object of at most {MOST_CRITERIA} criteria.")
    found = {}
    for name, given in value.items():
        if not isinstance(given, dict) or len(name) > 40 or not name.isprintable() or not name:
            raise RowRefused(f"The criterion {str(name)[:40]!r} has no ranking and strengths.")
        tiers = tiers_of_places(given.get("ranking"), count, f"The ranking under {name}")
        if not tiers:
            raise RowRefused(f"The criterion {name!r} has no ranking.")
        found[name] = (tiers, steps_of(given.get("strengths") or [], tiers) or ())
    return found


def _marks(value: object, responses: list[ReadResponse]) -> list[ReadMark]:
    if not isinstance(value, list) or len(value) > MOST_MARKS:
        raise RowRefused(f"marks is not a list of at most {MOST_MARKS} marks.")
    return [_mark(one, responses) for one in value]


def _mark(mark: object, responses: list[ReadResponse]) -> ReadMark:
    given: Fields = mark if isinstance(mark, dict) else {}
    place, start, end = (whole_of(given, name) for name in ("response", "start", "end"))
    if place is None or start is None or end is None or place >= len(responses):
        raise RowRefused(f"The mark {str(mark)[:60]} has no response, start and end.")
    if not start < end <= len(responses[place].text):
        raise RowRefused(f"The mark {str(mark)[:60]} lies outside of its response.")
    return ReadMark(response=place, start=start, end=end, kind=text_of(given, "kind", limit=40))


def _shown(value: object, count: int) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise RowRefused("shown_order is not a list of places.")
    if value and (
        any(type(one) is not int for one in value) or sorted(value) != list(range(count))
    ):
        raise RowRefused(f"shown_order is {str(value)[:60]}, not each of 0 to {count - 1} once.")
    return tuple(value)
