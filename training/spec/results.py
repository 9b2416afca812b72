"""What the measures of a run's result are called wherever they are shown. docs/training.md says how each is taken."""

from collections.abc import Mapping
from types import MappingProxyType

from training.spec.naming import title_of

# Of the policy that a run began with (`X_before`) and of the one that it trained (`X_after`) too.
MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "Sides with people on held-out pairs",
        "longer_wins": "The longer wins",
        "ceiling": "Two people agree (band of the best possible)",
        "reward": "Mean score of held-out answers",
        "reward_gain": "Score gained on held-out prompts",
        "win_rate": "Its answer scores higher than the start’s",
        "kl": "KL to the start (an estimate), nats a response",
        "length": "Tokens an answer",
        "eos": "Answers that end by themselves",
        "distinct": "Different word pairs in its answers",
        "loss": "Held-out loss, nats a token",
        "perplexity": "Held-out perplexity",
        "chosen_reward": "Implicit reward of held-out chosen responses",
        "rejected_reward": "Implicit reward of held-out rejected responses",
        "ece": "Expected calibration error",
        "temperature": "Temperature of its scores",
        "temperature_reason": "Why the temperature is 1",
        "tie_parameter": "Tie parameter",
        "tie_share": "Held-out pairs that tie",
        "tie_share_predicted": "Held-out pairs that tie, as predicted",
        "offset": "Zero of its scores",
        "beta": "Price of KL at the end",
        "criteria": "Head of",
        "score_accuracy": "The score sides with people",
        "trained_on": "Learned from so many verdicts",
        "steps": "Optimizer steps",
        "updates": "Updates",
        "prompts": "Prompts learned from",
        "records": "Records",
        "held_out_records": "Held-out records",
        "stop_reason": "Why it ended",
        "reason": "Why nothing was measured",
    }
)
# Before and after the temperature, where others are of before and after the training.
TIMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"ece": {"before": "as trained", "after": "with the temperature"}}
)


ORDER = list(MEASURES)


def measure_title(name: str) -> str:
    """What a measure is called; of `X_before` and `X_after`, X and when; of one not known, its name in words."""
    base, when = of_time(name)
    if base not in MEASURES:
        return title_of(name)
    return f"{MEASURES[base]}, {TIMES.get(base, {}).get(when, when)}" if when else MEASURES[base]


def place_of(name: str) -> tuple[int, bool]:
    """Where a measure stands among others, before the training ahead of after it; one not known stands last."""
    base, when = of_time(name)
    return ORDER.index(base) if base in MEASURES else len(ORDER), when == "after"


def of_time(name: str) -> tuple[str, str]:
    """`X` and `before` of `X_before`; the name and '' of a measure that is of no time."""
    base, _, when = name.rpartition("_")
    return (base, when) if when in {"before", "after"} else (name, "")
