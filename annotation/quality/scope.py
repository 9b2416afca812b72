"""Which judgments a view of agreement looks at."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from annotation.core.errors import InvalidInput

DAYS_MAX = 3650
CRITERION_MAX = 40


class LabelerKind(StrEnum):
    """Whose judgments: given here by people, machine judges, simulated people; or imported."""

    PEOPLE = "people"
    MACHINE = "machine"
    SIMULATED = "simulated"
    IMPORTED = "imported"


USER_KINDS = {
    LabelerKind.PEOPLE: "person",
    LabelerKind.MACHINE: "machine",
    LabelerKind.SIMULATED: "simulated",
}


def labelers_q(kinds: tuple[str, ...]) -> Q:
    """Judgments given by labelers of these kinds."""
    if set(kinds) == set(LabelerKind):
        return Q()
    wanted = Q(pk__in=[])
    for kind in kinds:
        if kind == LabelerKind.IMPORTED:
            wanted |= Q(is_imported=True)
        else:
            wanted |= Q(is_imported=False, labeler__kind=USER_KINDS[LabelerKind(kind)])
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The filters of the agreement page; the empty value lets everything in."""

    labelers: str = ""
    guideline: int = 0
    criterion: str = "overall"
    days: int = 0

    @classmethod
    def from_query(cls, asked: Mapping[str, str]) -> "Scope":
        """The checked filters of an address; raises InvalidInput naming a wrong one."""
        labelers = asked.get("labelers", "")
        if labelers and labelers not in tuple(LabelerKind):
            allowed = ", ".join(LabelerKind)
            raise InvalidInput(f"labelers={labelers!r} is not one of {allowed}.")
        criterion = asked.get("criterion") or "overall"
        if len(criterion) > CRITERION_MAX or "\0" in criterion:
            raise InvalidInput(f"criterion={criterion[:60]!r} is not the name of a criterion.")
        return cls(
            labelers=labelers,
            guideline=_number(asked, "guideline", 2**31 - 1),
            criterion=criterion,
            days=_number(asked, "days", DAYS_MAX),
        )

    @property
    def is_everything(self) -> bool:
        return self == Scope()

    def as_json(self) -> dict[str, str | int]:
        return asdict(self)

    def judgments_q(self) -> Q:
        """Agreement looks at normal and overlap comparisons; gold is apart."""
        wanted = ~Q(comparison__kind="gold")
        if self.labelers:
            wanted &= labelers_q((self.labelers,))
        if self.guideline:
            wanted &= Q(guideline__version=self.guideline)
        if self.days:
            wanted &= Q(created_at__gte=timezone.now() - timedelta(days=self.days))
        return wanted


def _number(asked: Mapping[str, str], key: str, high: int) -> int:
    value = asked.get(key) or "0"
    if not value.isascii() or not value.isdecimal() or len(value) > 10 or int(value) > high:
        raise InvalidInput(f"{key}={value[:60]!r} is not a whole number from 0 to {high}.")
    return int(value)
