"""The query of a snapshot: which judgments go in, and the rules that turn them into records."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import partial
from typing import Any

from django.db.models import Q

from annotation.core.errors import InvalidInput
from annotation.quality.exclusions import Exclusion, exclusions_from_json
from annotation.quality.scope import USER_KINDS, LabelerKind, labelers_q
from training.spec.records import SPLITS
from training.spec.splits import split_of

GUIDELINES_MAX = 1000
NO_TRAINING = (
    "Nothing would be left to train on: give train a share; validation and test are held out."
)
EVERYBODY = tuple(sorted(LabelerKind))
# A machine judge's verdicts go in only where a snapshot names them.
WITHOUT_MACHINES = tuple(one for one in EVERYBODY if one != LabelerKind.MACHINE)


class Aggregation(StrEnum):
    """How the votes on a pair become its label; the votes themselves are always kept."""

    MAJORITY = "majority"
    SOFT = "soft"
    DAWID_SKENE = "dawid_skene"


class Ties(StrEnum):
    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotQuery:
    """Filters and rules. Equal queries over equal judgments give equal records."""

    criterion: str = "overall"
    labelers: tuple[str, ...] = WITHOUT_MACHINES
    guideline_versions: tuple[int, ...] = ()  # empty: all
    min_judgments: int = 1  # of a pair
    aggregation: str = Aggregation.SOFT
    ties: str = Ties.KEEP
    exclusions: tuple[
        Exclusion, ...
    ] = ()  # what the project's rules left out when it was asked for
    is_adjudicated: bool = True  # an admin's verdict leads, where there is one
    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    seed: int = 17
    demonstrations: bool = True  # approved ones, as responses to imitate
    edit_preferences: bool = False  # each approved edit is preferred to its original

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SnapshotQuery":  # Any: JSON from outside
        """The checked query; missing keys take their defaults. Raises InvalidInput naming the key."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise InvalidInput(
                f"A snapshot query knows no {unknown[0]!r}; it knows {', '.join(sorted(known))}."
            )
        query = cls(**{key: _checked(key, value) for key, value in data.items()})
        if abs(query.train + query.validation + query.test - 1) > 1e-6:
            raise InvalidInput(
                f"The shares of train, validation and test must add up to 1; "
                f"{query.train} + {query.validation} + {query.test} do not."
            )
        return query

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        data = asdict(self)
        return {
            **data,
            "labelers": list(self.labelers),
            "guideline_versions": list(self.guideline_versions),
            "exclusions": [one.as_json() for one in self.exclusions],
        }

    @property
    def shares(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in SPLITS}

    def split_of(self, key: int) -> str:
        """The split of the prompts with this `split_key`."""
        return split_of(key, seed=self.seed, shares=self.shares)

    @property
    def decides_by_adjudication(self) -> bool:
        """Verdicts of admins are overall verdicts; under one criterion the votes alone speak."""
        return self.is_adjudicated and self.criterion == "overall"

    @property
    def takes_edits(self) -> bool:
        """An edit says which is better overall, and nothing of a single criterion."""
        return self.edit_preferences and self.criterion == "overall"

    def authors_q(self) -> Q:
        """Whose demonstrations go in: those of the kinds of labelers that were chosen."""
        kinds = {USER_KINDS[LabelerKind(one)] for one in self.labelers if one in USER_KINDS}
        return Q(author__kind__in=kinds)

    def judgments_q(self) -> Q:
        """Which judgments of the project go in (beside: standing)."""
        return self.givers_q() & ~Q(comparison__kind="gold")

    def givers_q(self) -> Q:
        """The same without a look at what is gold."""
        wanted = labelers_q(self.labelers)
        if self.guideline_versions:
            wanted &= Q(guideline__version__in=self.guideline_versions)
        if self.criterion != "overall":
            wanted &= Q(criteria__has_key=self.criterion)
        for one in self.exclusions:
            wanted &= ~one.judgments_q()
        return wanted


def _checked(key: str, value: Any) -> Any:  # Any: JSON from outside
    choices = {"aggregation": Aggregation, "ties": Ties}
    if key in choices:
        return _choice(key, value, tuple(choices[key]))
    if key == "labelers":
        return tuple(sorted({_choice(key, one, tuple(LabelerKind)) for one in _list(key, value)}))
    if key == "guideline_versions":
        return tuple(sorted({_whole(key, one, 1, 2**31 - 1) for one in _list(key, value)}))
    if key in SPLITS:
        return _share(key, value)
    if key in _OWN_CHECKS:
        return _OWN_CHECKS[key](value)
    return _whole(key, value, 1 if key == "min_judgments" else 0, 2**31 - 1)


def _criterion(value: Any) -> str:  # Any: as above
    if not isinstance(value, str) or not 1 <= len(value) <= 40 or "\0" in value:
        raise InvalidInput(f"criterion={value!r} is not the name of a criterion.")
    return value


def _flag(key: str, value: Any) -> bool:  # Any: as above
    if not isinstance(value, bool):
        raise InvalidInput(f"{key}={value!r} is not true or false.")
    return value


def _choice(key: str, value: Any, allowed: tuple[str, ...]) -> str:  # Any: as above
    if not isinstance(value, str) or value not in allowed:
        raise InvalidInput(f"{key}={value!r} is not one of {', '.join(allowed)}.")
    return str(value)


def _list(key: str, value: Any) -> list[Any]:  # Any: as above
    if not isinstance(value, list | tuple) or len(value) > GUIDELINES_MAX:
        raise InvalidInput(f"{key} must be a list of at most {GUIDELINES_MAX} values.")
    if key == "labelers" and not value:
        raise InvalidInput(f"labelers is empty; name at least one of {', '.join(LabelerKind)}.")
    return list(value)


def _whole(key: str, value: Any, low: int, high: int) -> int:  # Any: as above
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(f"{key}={value!r} is not a whole number from {low} to {high}.")
    return value


def _share(key: str, value: Any) -> float:  # Any: as above
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        raise InvalidInput(f"{key}={value!r} is not a share from 0 to 1.")
    return float(value)


_OWN_CHECKS: dict[str, Callable[[Any], Any]] = {  # Any: as above
    "criterion": _criterion,
    "exclusions": exclusions_from_json,
    **{
        key: partial(_flag, key) for key in ("is_adjudicated", "demonstrations", "edit_preferences")
    },
}
