"""How the letters that a labeler saw map to those of an admin's page."""

from collections.abc import Sequence

from django import template

from annotation.comparisons import letters

register = template.Library()


@register.filter
def own_letters(shown: Sequence[int] | None, candidate_ids: Sequence[int]) -> str:
    """`letters.own_letters` of a stored order; empty where there is none."""
    return letters.own_letters(shown or [], candidate_ids)
