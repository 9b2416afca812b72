"""The whole card of a model version, in the order in which it is read."""

from annotation.evaluations.cards import origin, policy, reward
from annotation.evaluations.cards.sections import Section, Table
from annotation.evaluations.models import ModelCard
from annotation.registry.models import ModelVersion

MEASURED = (
    (
        "Sides with people",
        (
            "Share of decided held-out pairs whose preferred response scores higher; equal scores"
            " are half. Wilson’s interval, or a bootstrap over prompts where one has several "
            "pairs."
        ),
    ),
    (
        "Two people agree",
        (
            "A, the chance that two votes on a pair are the same. The best model lies between A "
            "and (1 + √(2A − 1)) / 2."
        ),
    ),
    (
        "Expected calibration error",
        (
            "Ten equal bins of sigmoid(difference / temperature), read from the side the model "
            "prefers (Guo et al. 2017)."
        ),
    ),
    (
        "Temperature",
        (
            "The likeliest with the prior log T ~ N(0, (ln 2)²), kept only where it lowers the "
            "loss by more than noise."
        ),
    ),
    (
        "Probes",
        (
            "Mean change over its standard deviation among unchanged responses; a bootstrap over "
            "prompts."
        ),
    ),
    (
        "Reward before and after",
        (
            "Both policies answer the same held-out prompts with the same random streams; a "
            "bootstrap over prompts."
        ),
    ),
    (
        "KL",
        ("k1 estimate on the new policy’s own answers, in nats a response."),
    ),
    (
        "Perplexity",
        ("exp of the mean loss a token on held-out responses that people wrote or preferred."),
    ),
    (
        "Win rate by people",
        (
            "Blind comparisons, sides hidden and drawn; an interval that holds however often it "
            "is looked at (Howard et al. 2021)."
        ),
    ),
)


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
        Section(
            title="How each figure was measured",
            key="measured",
            tables=[Table(head=("Figure", "How"), rows=MEASURED, is_prose=True)],
        ),
        origin.settings(version),
    ]
    return [one for one in found if one is not None]
