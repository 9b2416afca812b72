"""Letters for places, as previews name responses."""

from string import ascii_uppercase

from django import template

register = template.Library()


@register.filter
def letter(place: int) -> str:
    """0 is A."""
    return ascii_uppercase[place]
