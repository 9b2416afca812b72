"""The kinds of rules: what each asks for, what is wrong with what it was given, and each in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from django.utils.dateparse import parse_datetime

from annotation.accounts.models import User
from annotation.core.errors import InvalidInput
from annotation.projects.models import Project
from annotation.quality import acts
from annotation.quality.models import Rule

Kind = Rule.Kind
Params = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number that a rule asks for, and what it may be."""

    low: float
    high: float
    is_whole: bool = False


NUMBERS: dict[Rule.Kind, dict[str, Number]] = {
    Kind.EXCLUDE: {},
    Kind.COUNT_MACHINE: {},
    Kind.TOO_FAST: {
        "seconds": Number(low=0.5, high=3600),
        "accuracy_below": Number(low=0.05, high=1),
    },
    Kind.GOLD_MINIMUM: {
        "accuracy": Number(low=0.05, high=1),
        "answers": Number(low=1, high=1000, is_whole=True),
    },
    Kind.PAUSE_ON_GOLD: {
        "failed": Number(low=1, high=1000, is_whole=True),
        "of_last": Number(low=1, high=1000, is_whole=True),
    },
}


def checked_params(project: Project, kind: str, params: Mapping[str, Any]) -> Params:
    """The parameters as they are stored. Raises InvalidInput naming what is wrong."""
    if kind not in Kind:
        raise InvalidInput.at("kind", f"kind={kind[:60]!r} is not one of {', '.join(Kind.values)}.")
    wanted = NUMBERS[Kind(kind)]
    known = _OTHERS.get(Kind(kind), set(wanted))
    if unknown := sorted(set(params) - known):
        raise InvalidInput.at(
            "params", f"A rule {kind} knows no {unknown[0]!r}; it knows {', '.join(sorted(known))}."
        )
    if kind == Kind.EXCLUDE:
        return _checked_labeler(project, params)
    if kind == Kind.COUNT_MACHINE:
        return _checked_machine(project, params)
    found: Params = {name: _number(name, params.get(name), rule) for name, rule in wanted.items()}
    if kind == Kind.PAUSE_ON_GOLD and found["failed"] > found["of_last"]:
        raise InvalidInput.at(
            "failed", f"{found['failed']} cannot fail of the last {found['of_last']}."
        )
    return found


_OTHERS = {Kind.EXCLUDE: {"labeler", "since"}, Kind.COUNT_MACHINE: {"labeler"}}
_ID = Number(low=1, high=2**53, is_whole=True)


def _checked_machine(project: Project, params: Mapping[str, Any]) -> Params:  # Any: JSON
    labeler_id = int(_number("labeler", params.get("labeler"), _ID))
    is_machine = User.objects.filter(pk=labeler_id, kind=User.Kind.MACHINE).exists()
    if not is_machine or not project.judgments.filter(labeler_id=labeler_id).exists():
        raise InvalidInput.at("labeler", "Choose a machine judge that has judged in this project.")
    return {"labeler": labeler_id}


def _checked_labeler(project: Project, params: Mapping[str, Any]) -> Params:  # Any: JSON
    labeler_id = int(_number("labeler", params.get("labeler"), _ID))
    if not project.judgments.filter(labeler_id=labeler_id).exists():
        acts.labeler_of(project, labeler_id)  # a member without judgments may be left out too
    since = params.get("since") or None
    try:
        moment = parse_datetime(since) if isinstance(since, str) else None
    except ValueError:
        moment = None
    if since is not None and (moment is None or moment.tzinfo is None):
        raise InvalidInput.at("since", f"since={str(since)[:60]!r} is not a moment with a zone.")
    whole = None if moment is None else moment.replace(microsecond=0).isoformat()
    return {"labeler": labeler_id, "since": whole}


def checked_agreeing(value: Any) -> int:  # Any: from outside
    """How many equal verdicts end a comparison, as a project's setting allows it."""
    return int(_number("agreeing", value, Number(low=2, high=50, is_whole=True)))


def _number(name: str, value: Any, rule: Number) -> float:  # Any: JSON from outside
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or (rule.is_whole and value != int(value)):
        raise InvalidInput.at(name, f"{name}={str(value)[:60]!r} is not a number.")
    if not rule.low <= value <= rule.high:
        raise InvalidInput.at(name, f"{name}={value} is outside of {rule.low:g} to {rule.high:g}.")
    return int(value) if rule.is_whole else float(value)


def sentence_of(rule: Rule) -> str:
    """The rule in words."""
    return _SENTENCES[Kind(rule.kind)](rule)


def _exclude_sentence(rule: Rule) -> str:
    name = rule.labeler.username if rule.labeler else "a labeler"
    since = rule.params.get("since")
    when = f" given since {_instant(since)}" if since else ""
    return f"Leave out all judgments of {name}{when}."


def _instant(text: str) -> str:
    """A stored moment with its offset, so that it is one instant to every reader: 2026-01-31 00:00 UTC+01:00."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}"


def _counting_sentence(rule: Rule) -> str:
    name = rule.labeler.username if rule.labeler else "a machine judge"
    return f"Count the verdicts of {name} in resolutions, like a person’s."


_SENTENCES: dict[Rule.Kind, Callable[[Rule], str]] = {
    Kind.EXCLUDE: _exclude_sentence,
    Kind.COUNT_MACHINE: _counting_sentence,
    Kind.TOO_FAST: lambda rule: (
        f"Leave out answers faster than {rule.params['seconds']:g} s of labelers whose fast answers "
        f"agree with the others less than {rule.params['accuracy_below'] * 100:.0f} %."
    ),
    Kind.GOLD_MINIMUM: lambda rule: (
        f"Leave out labelers who are surely below {rule.params['accuracy'] * 100:.0f} % on gold, after "
        f"{rule.params['answers']} answers."
    ),
    Kind.PAUSE_ON_GOLD: lambda rule: (
        f"Pause a labeler who fails {rule.params['failed']} of the last {rule.params['of_last']} "
        "gold comparisons."
    ),
}
