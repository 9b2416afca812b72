"""Which judgments a view of agreement looks at."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from django.db.models import Q
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from rest_framework.request import Request

from annotation.accounts.zones import zone_of
from annotation.core.errors import InvalidInput

DAYS_MAX = 3650
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)
CRITERION_MAX, LANGUAGE_MAX, TAG_MAX = 40, 12, 60
CHOSEN_MAX = 200
FILTERS = (  # the names in an address
    "labelers",
    "guideline",
    "criterion",
    "selected",
    "days",
    "since",
    "until",
    "batch",
    "language",
    "tag",
    "labeler",
    "group",
)
SIGNAL_FILTERS = ("days", "since", "until", "language", "tag", "labeler", "group")  # of these
GOLD_FILTERS = ("labelers", "guideline", *SIGNAL_FILTERS, "batch")
DISPUTE_FILTERS = (*SIGNAL_FILTERS, "batch")
RULE_FILTERS = ("days", "since", "until", "labeler", "group")
COMPARISON_FILTERS = ("batch", "language", "tag")
_ADDRESSED = {"chosen": "labeler"}  # fields that an address names otherwise


class LabelerKind(StrEnum):
    """Whose judgments: of machine judges; of others, given here by people or simulated people, or imported."""

    PEOPLE = "people"
    MACHINE = "machine"
    SIMULATED = "simulated"
    IMPORTED = "imported"


USER_KINDS = {
    LabelerKind.PEOPLE: "person",
    LabelerKind.MACHINE: "machine",
    LabelerKind.SIMULATED: "simulated",
}


EVERYBODY = "all"  # machine judges together with the others; the empty filter leaves them out


def labelers_q(kinds: tuple[str, ...]) -> Q:
    """Judgments given by labelers of these kinds."""
    if set(kinds) == set(LabelerKind):
        return Q()
    wanted = Q(pk__in=[])
    for kind in kinds:
        wanted |= _kind_q(LabelerKind(kind))
    return wanted


def _kind_q(kind: LabelerKind) -> Q:
    machine = Q(labeler__kind=USER_KINDS[LabelerKind.MACHINE])
    if kind is LabelerKind.MACHINE:
        return machine
    if kind is LabelerKind.IMPORTED:
        return Q(is_imported=True) & ~machine
    return Q(is_imported=False, labeler__kind=USER_KINDS[kind])


class Selected(StrEnum):
    """What was said of selected comparisons (asked again, or drawn by their gain): with the rest, or alone."""

    WITH = "with"
    ONLY = "only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The filters of the agreement page; the empty value lets in all but machine judges and what was selected."""

    labelers: str = ""  # a LabelerKind, or EVERYBODY
    guideline: int = 0
    criterion: str = "overall"
    days: int = 0
    since: datetime | None = None  # midnight that begins the first day, in the reader's zone
    until: datetime | None = None  # midnight that begins the last day, which is in
    batch: int = 0
    language: str = ""
    tag: str = ""
    chosen: tuple[int, ...] = ()  # ids of labelers; empty: everybody
    group: int = 0  # id of a group of labelers
    selected: str = ""  # a Selected; empty: apart

    @classmethod
    def of(cls, request: HttpRequest | Request) -> "Scope":
        """The checked filters of who asks, whose days are those of their zone."""
        return cls.from_query(request.GET, zone=zone_of(request.user))

    @classmethod
    def from_query(cls, asked: Mapping[str, str], *, zone: tzinfo) -> "Scope":
        """The checked filters of an address, its days those of a zone; raises InvalidInput naming a wrong one."""
        labelers = asked.get("labelers", "")
        if labelers and labelers not in (*LabelerKind, EVERYBODY):
            allowed = ", ".join((*LabelerKind, EVERYBODY))
            raise InvalidInput(f"labelers={labelers!r} is not one of {allowed}.")
        selected = asked.get("selected", "")
        if selected and selected not in tuple(Selected):
            raise InvalidInput(f"selected={selected[:60]!r} is not one of {', '.join(Selected)}.")
        since, until = (_morning(asked, name, zone) for name in ("since", "until"))
        if since and until and since > until:
            raise InvalidInput(
                f"The first day (since={since.date()}) is after the last (until={until.date()}): swap them."
            )
        return cls(
            labelers=labelers,
            guideline=_number(asked, "guideline", 2**31 - 1),
            criterion=_name(asked, "criterion", CRITERION_MAX) or "overall",
            days=_number(asked, "days", DAYS_MAX),
            since=since,
            until=until,
            batch=_number(asked, "batch", 2**31 - 1),
            language=_name(asked, "language", LANGUAGE_MAX),
            tag=_name(asked, "tag", TAG_MAX),
            chosen=_chosen(asked),
            group=_number(asked, "group", 2**31 - 1),
            selected=selected,
        )

    def only(self, names: Collection[str]) -> "Scope":
        """The same by the filters of these names alone, which are those of an address."""
        kept = [one.name for one in fields(self) if _ADDRESSED.get(one.name, one.name) in names]
        return Scope(**{name: getattr(self, name) for name in kept})

    def having_only(self, names: Collection[str], *, what: str) -> "Scope":
        """The same; InvalidInput where a filter of another name is set, as ``what`` has none."""
        kept = self.only(names)
        for one in fields(self):
            if getattr(self, one.name) != getattr(kept, one.name):
                name, known = _ADDRESSED.get(one.name, one.name), ", ".join(names)
                raise InvalidInput(
                    f"{what} have no filter {name}; they have {known}. Leave it out."
                )
        return kept

    def times_q(self, field: str) -> Q:
        """Rows whose time in ``field`` is in."""
        begins_at, ends_at = self.begins_at(timezone.now()), self.ends_at
        begun = Q(**{f"{field}__gte": begins_at}) if begins_at else Q()
        return begun & Q(**{f"{field}__lt": ends_at}) if ends_at else begun

    def comparisons_q(self, path: str = "") -> Q:
        """Comparisons of its batch, language and tag; ``path`` leads to the comparison, as ``comparison__``."""
        named = {
            "batch": self.batch,
            "language": self.language,
            "prompt__tags__contains": [self.tag] if self.tag else None,
        }
        return Q(**{f"{path}{name}": value for name, value in named.items() if value})

    @property
    def is_usual(self) -> bool:
        return self == Scope()

    def begins_at(self, now: datetime) -> datetime | None:
        """The first instant that is in; None where time does not narrow it."""
        starts = [self.since] if self.since else []
        starts += [now - timedelta(days=self.days)] if self.days else []
        return max(starts, default=None)

    @property
    def ends_at(self) -> datetime | None:
        """The first instant that is not in any more; None where time does not narrow it."""
        return self.until + timedelta(days=1) if self.until else None  # by the clock of its zone


EVERYTHING = Scope()  # but machine judges and what was selected


def _chosen(asked: Mapping[str, str]) -> tuple[int, ...]:
    """``labeler=3&labeler=7`` as an address has it, or ``labeler=3,7``."""
    values = (
        asked.getlist("labeler") if isinstance(asked, QueryDict) else [asked.get("labeler", "")]
    )
    ids = [one for value in values for one in value.split(",") if one]
    if len(ids) > CHOSEN_MAX:
        raise InvalidInput(
            f"labeler names {len(ids)} labelers; {CHOSEN_MAX} can be chosen at once."
        )
    return tuple(sorted({_number({"labeler": one}, "labeler", 2**31 - 1) for one in ids}))


def _name(asked: Mapping[str, str], key: str, longest: int) -> str:
    value = asked.get(key) or ""
    if len(value) > longest or "\0" in value:
        raise InvalidInput(f"{key}={value[:60]!r} is not the name of a {key}.")
    return value


def _morning(asked: Mapping[str, str], name: str, zone: tzinfo) -> datetime | None:
    text = asked.get(name) or ""
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{name}={text[:60]!r} is not a day such as 2026-01-31.") from error
    if day is None:
        return None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidInput(f"{name}={day} is not a day from {FIRST_DAY} to {LAST_DAY}.")
    return datetime.combine(day, time.min, tzinfo=zone)


def _number(asked: Mapping[str, str], key: str, high: int) -> int:
    value = asked.get(key) or "0"
    if not value.isascii() or not value.isdecimal() or len(value) > 10 or int(value) > high:
        raise InvalidInput(f"{key}={value[:60]!r} is not a whole number from 0 to {high}.")
    return int(value)
