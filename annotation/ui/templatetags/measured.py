"""Filters for numbers with a meaning, and for untrusted text."""

from django import template
from django.template.defaultfilters import floatformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from annotation.ui import markdown as inert
from annotation.ui.minus import with_minus
from training.spec.durations import duration_text

register = template.Library()


@register.filter
def percent(value: float | None) -> str:
    """0.761 as "76 %"; a dash where there is no number."""
    return "–" if value is None else f"{value:.0%}".replace("%", " %")


@register.filter
def figure(value: float | str | None, places: int = 2) -> str:
    """-1713.456 as "−1,713.46", its minus as wide as a digit; a dash where there is none, or no such key."""
    return with_minus(str(floatformat(value, f"{places}g"))) or "–"


@register.filter
def points(value: float | None) -> str:
    """0.0312 as "3.1": a share in points; a dash where there is no number."""
    return "–" if value is None else with_minus(f"{value * 100:.1f}")


@register.filter
def hundredths(value: float | None) -> str:
    """0.761 as "76", where the unit stands elsewhere."""
    return "–" if value is None else f"{value * 100:.0f}"


@register.filter
def duration(value: float, unit: int = 1) -> str:
    """A time in seconds, or in hours with 3600 as the unit, as "40 s", "3 min" or "2 h 5 min"."""
    return duration_text(value * unit)


@register.filter
def markdown(text: str) -> SafeString:
    """Untrusted Markdown as inert HTML; an empty response says that it is."""
    return inert.response(text)


@register.filter
def beginning(text: str, most: int) -> SafeString:
    """How an untrusted response begins; an empty one says that it is."""
    if text.strip():
        return format_html("<bdi>{}</bdi>", Truncator(text).chars(most))
    return format_html('<span class="muted">{}</span>', "(empty)")
