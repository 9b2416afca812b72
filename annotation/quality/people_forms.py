"""What admins post about comparisons, gold, rules and the exam, as values; errors name the field."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from math import isfinite
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from annotation.comparisons.forms import tiers_from_ranks
from annotation.comparisons.selectors import Tiers
from annotation.core.errors import InvalidInput
from annotation.quality.adjudication import NO_VERDICT, Verdict
from annotation.quality.models import Adjudication, Rule
from annotation.quality.rule_kinds import NUMBERS

ALL_BAD, TIE = "all_bad", "tie"
PERCENT = frozenset(
    {"accuracy", "accuracy_below", "poor", "good", "false_pass", "false_fail"}
) | frozenset({"overlap_share", "gold_share", "repeat_share"})
RANK_MAX = 9


def verdict_from(fields: Mapping[str, str], candidate_ids: Sequence[int]) -> Verdict:
    """A verdict as the pages post it: a step for a pair, a rank a candidate for more; none where the cause is taste."""
    if fields.get("cause") == Adjudication.Cause.SUBJECTIVE:
        return NO_VERDICT
    return _decided(fields, candidate_ids)


def known_from(fields: Mapping[str, str], candidate_ids: Sequence[int]) -> Tiers:
    """A known answer; empty where all are bad."""
    found = _decided(fields, candidate_ids)
    return [] if found.is_all_bad else found.ranking


def _decided(fields: Mapping[str, str], candidate_ids: Sequence[int]) -> Verdict:
    if ALL_BAD in (fields.get("verdict"), fields.get(ALL_BAD)):
        return Verdict(ranking=[], strengths=[], is_all_bad=True)
    if len(candidate_ids) == 2:
        return _step(fields.get("verdict", ""), candidate_ids)
    ranking, strengths = tiers_from_ranks({pk: _rank(fields, pk) for pk in candidate_ids})
    return Verdict(ranking=ranking, strengths=strengths)


def _step(value: str, candidate_ids: Sequence[int]) -> Verdict:
    if value == TIE:
        return Verdict(ranking=[sorted(candidate_ids)], strengths=[])
    better, _, strength = value.partition(":")
    names = {str(pk): pk for pk in candidate_ids}
    if better not in names or strength not in {"1", "2", "3"}:
        raise InvalidInput.at("verdict", "Say which response is better, or that all are bad.")
    others = [pk for pk in candidate_ids if pk != names[better]]
    return Verdict(ranking=[[names[better]], others], strengths=[int(strength)])


def _rank(fields: Mapping[str, str], pk: int) -> int:
    value = fields.get(f"rank-{pk}", "")
    if not (value.isascii() and value.isdecimal() and 1 <= int(value[:3]) <= RANK_MAX):
        raise InvalidInput.at(
            "verdict", f"Give every response a rank from 1 to {RANK_MAX}, or say all bad."
        )
    return int(value[:3])


def params_from(fields: Mapping[str, str], kind: str) -> dict[str, Any]:  # Any: JSON
    """The parameters of a rule; shares are posted in percent. What is wrong with them is said by the rule."""
    if kind not in Rule.Kind:
        return {}
    if kind == Rule.Kind.EXCLUDE:
        return {"labeler": _number(fields.get("labeler", "")), "since": _moment(fields)}
    if kind == Rule.Kind.COUNT_MACHINE:
        return {"labeler": _number(fields.get("labeler", ""))}
    return {name: number_from(fields, name) for name in NUMBERS[Rule.Kind(kind)]}


def number_from(fields: Mapping[str, str], name: str) -> float | str:
    """One posted number; percents as shares. What is no number stays as it is, for the refusal to show."""
    value = _number(fields.get(name, ""))
    if isinstance(value, str) or name not in PERCENT:
        return value
    return round(value / 100, 6)


def settings_from(fields: Mapping[str, str], names: Iterable[str]) -> dict[str, float]:
    """Posted settings of the project, all of them numbers; InvalidInput naming one that is none."""
    found = dict[str, float]()
    for name in names:
        value = number_from(fields, name)
        if isinstance(value, str) or not isfinite(value):
            raise InvalidInput.at(name, f"{name}={str(value)[:60]!r} is not a number.")
        if name not in PERCENT and value != int(value):
            raise InvalidInput.at(name, f"{name}={value} is not a whole number.")
        found[name] = value
    return found


def _number(text: str) -> float | int | str:
    text = text.strip()[:40]
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value


def _moment(fields: Mapping[str, str]) -> str | None:
    """A day means its beginning for who writes it, as an instant. What is no day is kept for the refusal to show."""
    day = fields.get("since", "").strip()[:40]
    try:
        begins = datetime.combine(date.fromisoformat(day), time.min)
    except ValueError:
        return day or None
    return begins.replace(tzinfo=timezone.get_current_timezone()).isoformat()


def key_from(fields: Mapping[str, str], name: str) -> int:
    """The posted number of a row; InvalidInput where it is none."""
    value = fields.get(name, "")
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise InvalidInput.at(name, "The form has lost what it is about; load the page again.")
    return int(value)


def keys_from(fields: QueryDict, name: str) -> list[int]:
    """The posted numbers of rows; InvalidInput where one is none."""
    return [key_from({name: value}, name) for value in fields.getlist(name)]
