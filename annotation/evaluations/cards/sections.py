"""What a card is made of: sections with sentences, a table, a drawing; and how numbers read in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.safestring import SafeString

from annotation.ui.minus import with_minus


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Head and rows of one table, in words."""

    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    is_prose: bool = False  # sentences rather than numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A text that a person or a model wrote: shown as it is, never as markup."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a card."""

    title: str
    key: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    quotes: Sequence[Quote] = ()
    bullets: Sequence[str] = ()
    drawings: Sequence[SafeString] = field(default=())  # on the page only


Fact = Mapping[str, Any]  # Any: JSON, {value, interval, n, reason}


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def number(value: Any) -> str:  # Any: JSON
    """Four digits that matter; a dash where there is none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "–"
    return with_minus(f"{value:,}" if isinstance(value, int) else f"{value:.3g}")


def interval_of(fact: Fact | None, *, as_percent: bool = True) -> str:
    """`66.1 to 75.0 %`, or why there is none."""
    ends = (fact or {}).get("interval")
    if not isinstance(ends, (list, tuple)) or len(ends) != 2:
        return str((fact or {}).get("reason") or "")
    if as_percent:
        return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"
    return f"{number(float(ends[0]))} to {number(float(ends[1]))}"


def share_rows(parts: Sequence[Fact], name: str = "name") -> list[tuple[str, ...]]:
    """Rows of name, share, interval, n."""
    return [
        (str(one[name]), percent(one["value"]), interval_of(one), number(one["n"])) for one in parts
    ]


def share_table(parts: Sequence[Fact], head: str, caption: str = "") -> list[Table]:
    """A table of shares; none where there are no parts."""
    if not parts:
        return []
    columns = (head, "Agrees with people", "95 % interval", "Pairs")
    return [Table(head=columns, rows=share_rows(parts), caption=caption)]
