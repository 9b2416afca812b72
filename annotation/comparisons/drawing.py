"""The HTML of a bench for the API, which sends hundreds a second.

All pairs of a kind look the same but for a few values. The template draws each kind once, with marks in the places of
these values, and every bench is filled in: that costs a twentieth. Rankings are drawn by the template.
"""

import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from annotation.comparisons.bench import Bench, Marked, ShownCandidate, ShownTurn
from annotation.comparisons.letters import LETTERS
from annotation.comparisons.stations import Asked
from annotation.projects.models import Project

TEMPLATE = "comparisons/_bench.html"
KINDS_KEPT = 500


class Kind(NamedTuple):
    """All that makes benches differ beyond the values that are filled in."""

    language: str | None
    project_id: int
    answer_scale: str
    rationale_rule: str
    min_reading_seconds: int
    criteria: tuple[Asked, ...]
    roles: tuple[str, ...]  # of the turns
    are_cut: tuple[bool, ...]  # the responses
    is_upsetting: bool


def draw(bench: Bench, *, csrf_token: str) -> str:
    """The bench as `TEMPLATE` draws it."""
    if not bench.is_pair:
        return render_to_string(TEMPLATE, {"bench": bench, "csrf_token": csrf_token})
    values = _values(bench) | {"csrf": csrf_token}
    pattern = _pattern(_kind_of(bench))
    return "".join(values[part] if place % 2 else part for place, part in enumerate(pattern))


def _kind_of(bench: Bench) -> Kind:
    project = bench.project
    return Kind(
        language=get_language(),
        project_id=project.pk,
        answer_scale=project.answer_scale,
        rationale_rule=project.rationale_rule,
        min_reading_seconds=project.min_reading_seconds,
        criteria=tuple(bench.criteria),
        roles=tuple(one.role for one in bench.turns),
        are_cut=tuple(one.is_cut for one in bench.candidates),
        is_upsetting=bench.is_upsetting,
    )


def _values(bench: Bench) -> dict[str, str]:
    """What is filled in: numbers, and HTML that was cleaned."""
    row = bench.lease
    values = {
        "assignment": str(row.pk),
        "seconds": str(row.seconds_left),
        "uuid": str(bench.client_uuid),
    }
    for place, turn in enumerate(bench.turns):
        values[f"turn{place}"] = turn.html
    for place, one in enumerate(bench.candidates):
        values |= {f"id{place}": str(one.id), f"html{place}": one.html, f"raw{place}": one.raw}
    return values


@lru_cache(maxsize=KINDS_KEPT)
def _pattern(kind: Kind) -> list[str]:
    """The HTML of a kind, cut at the marks: text and names of values in turn."""
    secret = secrets.token_hex(8)  # so that no text can hold a mark

    def mark(name: str) -> SafeString:
        return mark_safe(f"{secret}{name}.")  # noqa: S308 - letters and digits

    bench = _marked(kind, mark)
    html = render_to_string(TEMPLATE, {"bench": bench, "csrf_token": mark("csrf")})
    return re.split(rf"{secret}(\w+)\.", html)


def _marked(kind: Kind, mark: Callable[[str], SafeString]) -> Bench:
    project = Project(
        pk=kind.project_id,
        answer_scale=kind.answer_scale,
        rationale_rule=kind.rationale_rule,
        min_reading_seconds=kind.min_reading_seconds,
    )
    return Bench(
        lease=Marked(
            pk=mark("assignment"),
            seconds_left=mark("seconds"),
            project=project,
        ),
        client_uuid=mark("uuid"),
        turns=[
            ShownTurn(role=role, html=mark(f"turn{place}")) for place, role in enumerate(kind.roles)
        ],
        candidates=[
            ShownCandidate(
                id=mark(f"id{place}"),
                letter=LETTERS[place],
                html=mark(f"html{place}"),
                raw=mark(f"raw{place}"),
                is_cut=is_cut,
            )
            for place, is_cut in enumerate(kind.are_cut)
        ],
        criteria=kind.criteria,
        is_upsetting=kind.is_upsetting,
    )
