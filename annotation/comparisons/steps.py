"""How strongly one response is better than another: words and sign of each strength, on the scale of a project."""

from typing import NamedTuple

from django.utils.translation import gettext_noop

from annotation.comparisons.verdicts import largest_strength


class Step(NamedTuple):
    """A strength; its words are in English, for the reader to translate or not."""

    strength: int
    words: str
    sign: str


STEPS = (
    Step(3, gettext_noop("much better"), "›››"),
    Step(2, gettext_noop("better"), "››"),
    Step(1, gettext_noop("slightly better"), "›"),
)
BETTER = Step(1, gettext_noop("better"), ">")  # the one step of a short scale


def steps_of(scale: str) -> list[Step]:
    """The strengths of a scale, the strongest first; a scale of one step says just "better"."""
    largest = largest_strength(scale)
    return [BETTER] if largest == 1 else [one for one in STEPS if one.strength <= largest]


def step_of(strength: int, scale: str) -> Step:
    """How a strength is told: on a scale of one step as "better", also what was said when the scale was longer."""
    if largest_strength(scale) == 1:
        return BETTER
    return next(one for one in STEPS if one.strength == strength)
