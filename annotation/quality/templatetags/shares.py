"""A cell of a table for a share: drawn a thousand times a page, so by a function and not by a template."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotation.quality.drawings import Cell
from annotation.quality.numbers import BIAS_FROM, HALF
from annotation.ui.minus import with_minus
from annotation.ui.templatetags.measured import hundredths, percent, points

register = template.Library()
Share = dict[str, Any]  # Any: JSON of a statistic
NO_VALUE = "No number: why"


@register.simple_tag
def dash(reason: str) -> SafeString:
    """In place of a number: a dash that says why there is none, on hover, by a tap or by its key."""
    return format_html(
        '<details class="lacking"><summary title="{0}" aria-label="{1}">–</summary>{0}</details>',
        reason,
        NO_VALUE,
    )


@register.simple_tag
def share_cell(one: Share, address: str = "") -> SafeString:
    """The value, linked to what is behind it, over its interval and n; a dash that says why there is none."""
    if one["value"] is None:
        return format_html("<td>{}</td>", dash(one["reason"]))
    value = percent(one["value"])
    shown = format_html('<a href="{}">{}</a>', address, value) if address else value
    interval = one["interval"]
    ends = f"{hundredths(interval[0])}–{hundredths(interval[1])} " if interval else ""
    return format_html(
        '<td>{}<br><span class="muted tiny">{}of {}</span></td>', shown, ends, f"{one['n']:,}"
    )


@register.simple_tag
def number_cell(one: Share) -> SafeString:
    """The same of a number that is no share, to three digits."""
    if one["value"] is None:
        return format_html("<td>{}</td>", dash(one["reason"]))
    value, *ends = (with_minus(f"{each:.3f}") for each in (one["value"], *(one["interval"] or ())))
    shown = f"{' to '.join(ends)} " if ends else ""
    return format_html(
        '<td>{}<br><span class="muted tiny">{}of {}</span></td>', value, shown, f"{one['n']:,}"
    )


@register.simple_tag
def pair_cell(cell: Cell | None) -> SafeString:
    """A number of two labelers over its interval and n; a dot where they share too little, or are one."""
    if cell is None:
        return format_html('<td class="muted">{}</td>', "·")
    if not cell.value:
        return format_html('<td class="shade-{}">{}</td>', cell.shade, dash(cell.reason or ""))
    return format_html(
        '<td class="shade-{}">{}<br><span class="muted tiny">{} of {}</span></td>',
        cell.shade,
        cell.value,
        cell.ends,
        f"{cell.n:,}",
    )


@register.simple_tag
def advantage_cell(one: Share) -> SafeString:
    """A difference of two shares, in points, over its interval and n."""
    value, *ends = (points(each) for each in (one["value"], *(one["interval"] or ())))
    shown = f"{' to '.join(ends)} " if ends else ""
    return format_html(
        '<td>{}<br><span class="muted tiny">{}of {}</span></td>', value, shown, f"{one['n']:,}"
    )


@register.filter
def leaning(left: Share) -> str:
    """The side chosen more often, by an interval without half, as about 5 of 100 fair labelers show; else empty."""
    if left["interval"] is None or left["n"] < BIAS_FROM:
        return ""
    low, high = left["interval"]
    if low > HALF:
        return "left"
    return "right" if high < HALF else ""


@register.simple_tag
def row_cell(row: Share, name: str, items: str = "", aspect: str = "") -> SafeString:
    """The same of one column of a labeler's row; ``items`` begins the address of the items tab, with its filters."""
    address = f"{items}of={row['id']}&aspect={aspect}" if aspect else ""
    return share_cell(row[name], address)
