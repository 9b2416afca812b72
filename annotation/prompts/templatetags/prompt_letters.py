"""Words of imports and their previews: letters for places, what a file holds by its columns, why nothing moves."""

from collections.abc import Collection
from string import ascii_uppercase

from django import template

from annotation.core.jobs import standing_text
from annotation.prompts import columns as by_columns
from annotation.prompts.forms import CONTENTS
from annotation.prompts.models import PromptImport

register = template.Library()


@register.filter
def letter(place: int) -> str:
    """0 is A."""
    return ascii_uppercase[place]


@register.filter
def looks_like(columns: Collection[str], contents: str) -> str:
    """What a file that is taken as prompts holds too, as the import's form names it; empty where nothing is known."""
    found = by_columns.looks_like(columns) if contents == PromptImport.Contents.PROMPTS else None
    return str(CONTENTS[found]) if found else ""


@register.filter
def standing(row: PromptImport) -> str:
    """Why an import under way does not move, in a sentence; empty where there is nothing to tell."""
    return standing_text(row)
