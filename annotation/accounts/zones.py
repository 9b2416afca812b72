"""The time zones of people: which can be named, whose is which, and when a day of theirs begins."""

from collections import defaultdict
from datetime import UTC, datetime, time
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connection

from annotation.accounts.models import User

AREAS = {
    "Africa", "America", "Antarctica", "Arctic", "Asia",
    "Atlantic", "Australia", "Europe", "Indian", "Pacific",
}  # fmt: skip


def zone_of(user: User | AnonymousUser) -> ZoneInfo:
    """The zone of a person; that of the site while it is not known."""
    return ZoneInfo(getattr(user, "time_zone", "") or settings.TIME_ZONE)


def start_of_day(zone: ZoneInfo, moment: datetime) -> datetime:
    """When the day began in which a moment lies, for those in this zone."""
    day = moment.astimezone(zone).date()
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def is_known(name: str) -> bool:
    """Whether both that count days, the site and its database, know a zone of this name."""
    if name not in available_timezones():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_timezone_names WHERE name = %s)", [name])
        return bool(cursor.fetchone()[0])


@cache
def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """The zones to choose from, by area."""
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(available_timezones()):
        area, _, place = name.partition("/")
        if area in AREAS:
            places[area].append((name, place.replace("_", " ")))
    return [("UTC", [("UTC", "UTC")]), *places.items()]
