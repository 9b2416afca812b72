"""What a rule leaves out, as a value: stored in a snapshot's query, it says for ever which judgments were dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Q
from django.utils.dateparse import parse_datetime

from annotation.core.errors import InvalidInput
from annotation.quality.columns import Mask, PairColumns

LABELERS_MAX, EXCLUSIONS_MAX = 10_000, 200
LARGEST = 2**63 - 1
MS_MAX = 3_600_000
KEYS = frozenset({"rule", "version", "labelers", "since", "faster_than_ms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Judgments of these labelers, from a moment on and below a time where those are given."""

    rule: int  # the series
    version: int
    labelers: tuple[int, ...]
    since: datetime | None = None
    faster_than_ms: int = 0  # 0: however long it took

    def judgments_q(self) -> Q:
        """The judgments that are left out."""
        dropped = Q(labeler_id__in=self.labelers)
        if self.since is not None:
            dropped &= Q(created_at__gte=self.since)
        if self.faster_than_ms:
            dropped &= Q(active_ms__gt=0, active_ms__lt=self.faster_than_ms)
        return dropped

    def mask(self, columns: PairColumns) -> Mask:
        """The same on columns, whose times are whole seconds."""
        theirs = np.isin(columns.labeler_ids, np.array(self.labelers, dtype=np.int64))
        dropped: Mask = theirs[columns.labelers]
        if self.since is not None:
            dropped &= columns.given_at >= int(self.since.timestamp())
        if self.faster_than_ms:
            dropped &= (columns.active_ms > 0) & (columns.active_ms < self.faster_than_ms)
        return dropped

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return {
            "rule": self.rule,
            "version": self.version,
            "labelers": list(self.labelers),
            "since": None if self.since is None else self.since.isoformat(),
            "faster_than_ms": self.faster_than_ms,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Exclusion":  # Any: JSON from outside
        """The checked value. Raises InvalidInput naming what is wrong."""
        if not isinstance(data, Mapping) or not set(data) <= KEYS or "labelers" not in data:
            raise InvalidInput(
                f"An exclusion is an object of {', '.join(sorted(KEYS))}; this is {str(data)[:80]!r}."
            )
        return cls(
            rule=_whole(data, "rule", 2**31 - 1),
            version=_whole(data, "version", 2**31 - 1),
            labelers=_labelers(data["labelers"]),
            since=_moment(data.get("since")),
            faster_than_ms=_whole(data, "faster_than_ms", MS_MAX),
        )


def kept(columns: PairColumns, exclusions: Sequence[Exclusion]) -> PairColumns:
    """The columns without what the exclusions leave out."""
    if not exclusions:
        return columns
    return columns.where(~dropped_by(columns, exclusions))


def dropped_by(columns: PairColumns, exclusions: Sequence[Exclusion]) -> Mask:
    """Which rows at least one of them leaves out."""
    dropped = np.zeros(len(columns), dtype=bool)
    for one in exclusions:
        dropped |= one.mask(columns)
    return dropped


def exclusions_from_json(data: Any) -> tuple[Exclusion, ...]:  # Any: JSON from outside
    """A checked list of them."""
    if not isinstance(data, list | tuple) or len(data) > EXCLUSIONS_MAX:
        raise InvalidInput(f"exclusions must be a list of at most {EXCLUSIONS_MAX} objects.")
    return tuple(Exclusion.from_json(one) for one in data)


def _whole(data: Mapping[str, Any], key: str, high: int) -> int:  # Any: as above
    value = data.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise InvalidInput(f"{key}={str(value)[:60]!r} is not a whole number from 0 to {high}.")
    return value


def _labelers(value: Any) -> tuple[int, ...]:  # Any: as above
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= LABELERS_MAX:
        raise InvalidInput(f"labelers must be a list of 1 to {LABELERS_MAX} ids of users.")
    checked = {_whole({"labelers": one}, "labelers", LARGEST) for one in value}
    return tuple(sorted(checked))


def _moment(value: Any) -> datetime | None:  # Any: as above
    if value is None:
        return None
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(
            f"since={str(value)[:60]!r} is not a moment with a time zone, such as "
            "2026-01-31T12:00:00+00:00."
        )
    return moment.replace(microsecond=0)  # columns keep whole seconds
