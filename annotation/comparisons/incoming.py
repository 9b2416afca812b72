"""An answer as it comes over the wire, checked by hand: serializers take longer for it than the database does.

The shape is that of `serializers.AnswerSerializer`, which describes it in the OpenAPI document.
"""

from typing import Any
from uuid import UUID

from annotation.comparisons.verdicts import LONGEST_RATIONALE, Answer, CriterionVerdict, Mark
from annotation.core.errors import InvalidInput
from annotation.core.text import kind_of

LARGEST_KEY = 2**63 - 1
LARGEST_VERSION = 2**31 - 1
LONGEST_LIST = 9
MOST_CRITERIA = 100


def answer_from_json(data: Any) -> Answer:  # Any: JSON, of which nothing is known yet
    """The answer in a decoded request. Raises InvalidInput naming the field that cannot be read."""
    if not isinstance(data, dict):
        raise InvalidInput(f"An answer is an object with its fields, not {kind_of(data)}.")
    return Answer(
        client_uuid=_uuid(data.get("client_uuid")),
        ranking=_tiers("ranking", data.get("ranking", [])),
        strengths=_strengths("strengths", data.get("strengths", [])),
        is_all_bad=_flag("is_all_bad", data.get("is_all_bad", False)),
        criteria=_criteria(data.get("criteria", {})),
        rationale=_text("rationale", data.get("rationale", "")),
        marks=[_mark(one) for one in _list("marks", data.get("marks", []), longest=1_000)],
        active_ms=_number("active_ms", data.get("active_ms", 0)),
        age_ms=_number("age_ms", data.get("age_ms", 0)),
        guideline_version=_version(data.get("guideline_version")),
    )


def _uuid(value: Any) -> UUID:  # Any: JSON, here and below
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput.at("client_uuid", f"{value!r:.60} is not a UUID.") from error


def _list(field: str, value: Any, *, longest: int = LONGEST_LIST) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput.at(field, f"{value!r:.60} is not a list.")
    if len(value) > longest:
        raise InvalidInput.at(field, f"The list has {len(value)} entries; it may have {longest}.")
    return value


def _number(field: str, value: Any, *, least: int = 0, most: int | None = None) -> int:
    """A whole number; digits in a text are one too, as forms send them."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput.at(field, f"{value!r:.60} is not a whole number.")
    if value < least or (most is not None and value > most):
        raise InvalidInput.at(field, f"{str(value)[:30]} is out of range.")
    return value


def _version(value: Any) -> int | None:
    return None if value is None else _number("guideline_version", value, most=LARGEST_VERSION)


def _tiers(field: str, value: Any) -> list[list[int]]:
    return [
        [_number(field, one, least=1, most=LARGEST_KEY) for one in _list(field, tier)]
        for tier in _list(field, value)
    ]


def _strengths(field: str, value: Any) -> list[int]:
    return [_number(field, one, most=LARGEST_KEY) for one in _list(field, value)]


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.at(field, f"{value!r:.60} is not true or false.")
    return value


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput.at(field, f"{value!r:.60} is not a text.")
    if len(value) > LONGEST_RATIONALE or "\x00" in value or not _is_encodable(value):
        raise InvalidInput.at(
            field,
            f"The text has {len(value)} characters; it may have {LONGEST_RATIONALE}, all of Unicode but NUL.",
        )
    return value


def _is_encodable(text: str) -> bool:
    """Without lone surrogates, which JSON may bring in."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def _criteria(value: Any) -> dict[str, CriterionVerdict]:
    if not isinstance(value, dict) or len(value) > MOST_CRITERIA:
        raise InvalidInput.at("criteria", f"{value!r:.60} is not an object of criteria.")
    return {str(name): _criterion(verdict) for name, verdict in value.items()}


def _criterion(value: Any) -> CriterionVerdict:
    if not isinstance(value, dict):
        raise InvalidInput.at("criteria", f"{value!r:.60} is not a ranking with its strengths.")
    return {
        "ranking": _tiers("criteria", value.get("ranking")),
        "strengths": _strengths("criteria", value.get("strengths")),
    }


def _mark(value: Any) -> Mark:
    if not isinstance(value, dict):
        raise InvalidInput.at("marks", f"{value!r:.60} is not a mark.")
    numbers = [
        _number("marks", value.get(name), most=LARGEST_KEY)
        for name in ("candidate", "start", "end")
    ]
    kind = _text("marks", value.get("kind"))
    return {"candidate": numbers[0], "start": numbers[1], "end": numbers[2], "kind": kind}
