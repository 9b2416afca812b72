"""The report as tables for spreadsheets."""

from collections.abc import Iterable
from typing import Any

from django.http import StreamingHttpResponse

from annotation.core import csv_tables
from annotation.core.csv_tables import Row
from annotation.core.errors import NotFound
from annotation.quality.report import ceiling_ends

PARTS_OF_TABLES: dict[str, tuple[str, ...]] = {
    "statistics": (),
    "skips": (),
    "labelers": ("labelers",),
    "matrix": ("labelers", "matrix"),
    "position": ("position",),
    "periods": ("periods",),
    "versions": ("versions",),
    "policies": ("policies",),
    "next": ("policies",),
    "models": ("models",),
    "coefficients": ("coefficients",),
    "judges": ("judges",),
    "budget": (),
}


def parts_of_table(name: str) -> tuple[str, ...]:
    """The parts of the report that a table needs; raises NotFound for a name that is none."""
    if name not in PARTS_OF_TABLES:
        raise NotFound(f"There is no table {name!r}; there are {', '.join(PARTS_OF_TABLES)}.")
    return PARTS_OF_TABLES[name]


def table_of(data: dict[str, Any], name: str) -> tuple[list[str], list[Row]]:  # Any: the report
    """Head and rows of one table; raises NotFound for a name that is none."""
    parts_of_table(name)
    return {
        "statistics": _statistics,
        "skips": _skips,
        "labelers": _labelers,
        "matrix": _matrix,
        "position": _position,
        "periods": _periods,
        "versions": _versions,
        "policies": _policies,
        "next": _next,
        "models": _models,
        "coefficients": _coefficients,
        "judges": _judges,
        "budget": _budget,
    }[name](data)


def _matrix(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = ["first", "second", "shared", *_ends("agreement"), *_ends("kappa")]
    names = {row["id"]: row["name"] for row in data["labelers"]}
    rows = [
        [
            *(names.get(cell[key]) for key in ("first", "second")),
            cell["shared"],
            *cells_of(cell["agreement"]),
            *cells_of(cell["kappa"]),
        ]
        for cell in data["matrix"]
    ]
    return head, rows


def _position(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = ["name", "of", *_ends("value")]
    return head, [[one["name"], one["of"], *cells_of(one)] for one in data["position"]]


def _periods(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = ["start", "unit", "judgments", "value", "low", "high", "n", "reason"]
    rows = [
        [one["start"], one["unit"], one["judgments"], *cells_of(one)] for one in data["periods"]
    ]
    return head, rows


def _versions(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    measured = ("alpha_ordinal", "alpha_nominal", "percent_without_ties")
    head = ["guideline_id", "judgments", "pairs_shared"]
    head += [column for name in measured for column in _ends(name)]
    rows = [
        [one["guideline_id"], one["judgments"], one["pairs_shared"]]
        + [cell for name in measured for cell in cells_of(one[name])]
        for one in data["versions"]
    ]
    return head, rows


def _policies(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = [
        "source",
        "strength",
        "low",
        "high",
        "rank_best",
        "rank_worst",
        "wins",
        "ties",
        "losses",
        *_ends("win_rate"),
        *_ends("equal_length"),
    ]
    rows = [
        [
            one["source"],
            one["strength"],
            *(one["interval"] or (None, None)),
            *one["rank"],
            *(one[key] for key in ("wins", "ties", "losses")),
            *(cell for name in ("win_rate", "equal_length") for cell in cells_of(one[name])),
        ]
        for one in data["policies"]["rows"]
    ]
    return head, rows


def _next(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = ["source", "against", "gain", "propensity"]
    return head, [[one[key] for key in head] for one in data["policies"]["next"]]


def _models(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    """One row a policy and a model, then what position, length and style add."""
    found = data["models"]
    names = {one["key"]: one["name"] for one in found["models"]}
    rows = [
        [row["source"], names[one["model"]], *cells_of(one)]
        for row in found["rows"]
        for one in row["strengths"]
    ]
    rows += [[one["name"], "effect", *cells_of(one)] for one in found["effects"]]
    return ["source", "model", *_ends("value")], rows


def _coefficients(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = ["name", "of", *_ends("value")]
    return head, [[one["name"], one["of"], *cells_of(one)] for one in data["coefficients"]]


def _judges(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    """One row a judge and a person who was tested against it; a judge nobody could be tested against has one row."""
    head = ["judge", "pairs", "passes", *_ends("winning_rate")]
    head += ["person", *_ends("advantage"), "p_value"]
    rows = [
        [judge["name"], judge["pairs"], judge["passes"], *cells_of(judge["winning_rate"]), *person]
        for judge in data["judges"]
        for person in _tested(judge["people"]) or [[None] * 7]
    ]
    return head, rows


def _tested(people: list[dict[str, Any]]) -> list[Row]:  # Any: the report
    return [[one["name"], *cells_of(one["advantage"]), one["p_value"]] for one in people]


def _budget(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = ["half_width", "pairs", "labels", "pairs_lacking", "labels_lacking"]
    return head, [[one[key] for key in head] for one in data["budget"]]


def _ends(name: str) -> tuple[str, ...]:
    return tuple(f"{name}{end}" for end in ("", "_low", "_high", "_n", "_reason"))


def cells_of(statistic: dict[str, Any]) -> Row:  # Any: a measure's JSON
    """Value, ends of the interval, n and reason."""
    low, high = statistic["interval"] or (None, None)
    return [statistic["value"], low, high, statistic["n"], statistic["reason"]]


def _statistics(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    head = ["statistic", "value", "low", "high", "n", "reason"]
    found = dict(data["statistics"])
    if found:
        found["machine"], found["reward_model"] = data["machine"], data["reward_model"]
        ends = ceiling_ends(found["percent_without_ties"])
        found["ceiling_from"], found["ceiling_to"] = ends
    return head, [[name, *cells_of(one)] for name, one in found.items() if isinstance(one, dict)]


def _skips(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    """Why labelers skipped: each reason with its share of all skips."""
    head = ["why", "skips", *_ends("value")]
    return head, [[one["key"], one["skips"], *cells_of(one)] for one in data["skips"]]


def _labelers(data: dict[str, Any]) -> tuple[list[str], list[Row]]:
    plain = [
        "name",
        "kind",
        "judgments",
        "hours",
        "per_hour",
        "shared",
        "shrunken",
        "is_fast_and_wrong",
        "standing",
    ]
    measured = ["agreement", "accuracy", "left", "longer", "repeats", "flips", "gold", "fast"]
    measured += ["tie_rate", "all_bad_rate", "skip_rate", "strong_rate", "cycles", "alpha_without"]
    head = plain + [column for name in measured for column in _ends(name)]
    rows = [
        [row[key] for key in plain] + [cell for name in measured for cell in cells_of(row[name])]
        for row in data["labelers"]
    ]
    return head, rows


def csv_answer(data: dict[str, Any], name: str) -> StreamingHttpResponse:
    """One table of the report as a download."""
    return csv_download(*table_of(data, name), name=name)


def csv_download(head: list[str], rows: Iterable[Row], *, name: str) -> StreamingHttpResponse:
    """Any table of agreement as a download."""
    return csv_tables.csv_download(head, rows, filename=f"agreement-{name}.csv")
