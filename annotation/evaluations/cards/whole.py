"""The whole card of a model version, in the order in which it is read."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from annotation.evaluations.cards import origin, policy, reward
from annotation.evaluations.cards.sections import Section, Table
from annotation.evaluations.models import ModelCard
from annotation.registry.models import ModelVersion


class Figure(NamedTuple):
    """How a figure was measured, and words that stand in a card which shows it."""

    name: str
    how: str
    signs: tuple[str, ...]


FIGURES = (
    Figure(
        "Sides with people",
        (
            "Share of decided held-out pairs whose preferred response scores higher, of a policy by its "
            "implicit reward; equal scores are half. Wilson’s interval, or a bootstrap over prompts "
            "where one has several pairs."
        ),
        ("ides with people",),
    ),
    Figure(
        "Two people agree",
        (
            "A, the chance that two votes on a pair are the same. The best model lies between A and (1 "
            "+ √(2A − 1)) / 2."
        ),
        ("Two people agree",),
    ),
    Figure(
        "Expected calibration error",
        (
            "Ten equal bins of sigmoid(difference / temperature), read from the side the model prefers "
            "(Guo et al. 2017)."
        ),
        ("Expected calibration error",),
    ),
    Figure(
        "Temperature",
        (
            "The likeliest with the prior log T ~ N(0, (ln 2)²), kept only where it lowers the loss by "
            "more than noise."
        ),
        ("with the temperature",),
    ),
    Figure(
        "Probes",
        (
            "Mean change over its standard deviation among unchanged responses; a bootstrap over "
            "prompts."
        ),
        ("held-out responses were changed",),
    ),
    Figure(
        "Reward before and after",
        (
            "Both policies answer the same held-out prompts with the same random streams; a bootstrap "
            "over prompts."
        ),
        ("Score gained", "Mean score of held-out answers"),
    ),
    Figure(
        "KL",
        "k1 estimate on the new policy’s own answers, in nats a response.",
        ("KL to the start",),
    ),
    Figure(
        "Perplexity",
        "exp of the mean loss a token on held-out responses that people wrote or preferred.",
        ("eld-out perplexity",),
    ),
    Figure(
        "Held-out loss",
        (
            "Mean negative log-likelihood of a token, over all tokens of the held-out responses that "
            "perplexity is of, the end token included; a bootstrap over prompts."
        ),
        ("Held-out loss",),
    ),
    Figure(
        "Tokens an answer",
        (
            "Mean over the held-out answers, the end token included; what the limit of the run cut "
            "counts as long as it was cut."
        ),
        ("Tokens an answer",),
    ),
    Figure(
        "Answers that end by themselves",
        "Share of the held-out answers that came to an end token before the limit of the run.",
        ("Answers that end by themselves",),
    ),
    Figure(
        "By how much it disagrees",
        (
            "The score of what people rejected less that of what they preferred, before the "
            "temperature."
        ),
        ("It prefers",),
    ),
    Figure(
        "Win rate by people",
        (
            "Blind comparisons, sides hidden and drawn; an interval that holds however often it is "
            "looked at (Howard et al. 2021)."
        ),
        ("People prefer it",),
    ),
    Figure(
        "The longer wins",
        (
            "Share of decided held-out pairs whose preferred response has more characters: what a reward "
            "that only counts words reaches."
        ),
        ("longer response reaches",),
    ),
    Figure(
        "Its head",
        (
            "A linear head for each criterion, fitted to the verdicts under it on the model’s frozen "
            "states; both accuracies are of held-out pairs judged under that criterion."
        ),
        ("Its head",),
    ),
    Figure(
        "Different word pairs",
        (
            "Different neighboring word pairs over all of them, in the held-out answers together "
            "(distinct-2, Li et al. 2016)."
        ),
        ("Different word pairs",),
    ),
    Figure(
        "Its answer scores higher",
        (
            "Share of held-out answers that score above the start’s answer to the same prompt with the "
            "same random stream; equal scores are half. A bootstrap over prompts."
        ),
        ("scores higher than the start’s",),
    ),
    Figure(
        "At equal length",
        (
            "The win rate read off a logistic model of the difference of lengths, at none (Dubois et "
            "al. 2024)."
        ),
        ("At equal length",),
    ),
)


def measured(shown: Sequence[Section]) -> Section | None:
    """How each figure in these sections was measured; None where they show none."""
    said = "\n".join(chain.from_iterable(map(_words, shown)))
    rows = [(one.name, one.how) for one in FIGURES if any(sign in said for sign in one.signs)]
    if not rows:
        return None
    return Section(
        title="How each figure was measured",
        key="measured",
        tables=[Table(head=("Figure", "How"), rows=rows, is_prose=True)],
    )


def _words(section: Section) -> Iterator[str]:
    yield from section.sentences
    for table in section.tables:
        yield from table.head
        yield from chain.from_iterable(table.rows)


def sections_of(version: ModelVersion, card: ModelCard) -> list[Section]:
    """Stages, a pair, what was learned, risks, settings, and how each figure was measured."""
    particular = (
        reward.sections(card)
        if version.kind == ModelVersion.Kind.REWARD
        else policy.sections(version, card)
    )
    found = [
        origin.stages(version),
        origin.example_pair(version),
        *particular,
        measured(particular),
        origin.settings(version),
    ]
    return [one for one in found if one is not None]
