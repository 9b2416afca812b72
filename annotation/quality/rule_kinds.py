"""The kinds of rules: what each asks for, what is wrong with what it was given, and each in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

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


_SENTENCES: dict[Rule.Kind, str] = {  # those that leave judgments out are told to labelers
    Kind.EXCLUDE: gettext_noop("Leave out all judgments of %(name)s."),
    Kind.TOO_FAST: gettext_noop(
        "Leave out answers faster than %(seconds)s s of labelers whose fast answers agree with the "
        "others less than %(accuracy_below)s %%."
    ),
    Kind.GOLD_MINIMUM: gettext_noop(
        "Leave out labelers who are surely below %(accuracy)s %% on gold, after %(answers)s answers."
    ),
    Kind.PAUSE_ON_GOLD: (
        "Pause a labeler who fails %(failed)s of the last %(of_last)s gold comparisons."
    ),
    Kind.COUNT_MACHINE: "Count the verdicts of %(name)s in resolutions, like a person’s.",
}
_EXCLUDE_SINCE = gettext_noop("Leave out all judgments of %(name)s given since %(since)s.")


def sentence_of(rule: Rule) -> str:
    """The rule in words to admins, whose pages and tables are English."""
    return _sentence(rule) % _values(rule)


def own_sentence_of(rule: Rule) -> str:
    """The rule in words to a labeler, in their language."""
    return _(_sentence(rule)) % _values(rule)


def _sentence(rule: Rule) -> str:
    return _EXCLUDE_SINCE if rule.params.get("since") else _SENTENCES[Kind(rule.kind)]


def _values(rule: Rule) -> dict[str, str]:
    """The parameters as a sentence has them."""
    told = {name: _SHOWN.get(name, str)(value) for name, value in rule.params.items() if value}
    return told | {"name": rule.labeler.username if rule.labeler else "a labeler"}


def _instant(text: str) -> str:
    """A stored moment with its offset, so that it is one instant to every reader: 2026-01-31 00:00 UTC+01:00."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f}"


_SHOWN: dict[str, Callable[[Any], str]] = {  # Any: JSON
    "since": _instant,
    "seconds": "{:g}".format,
    "accuracy": _percent,
    "accuracy_below": _percent,
}
