"""What a round is to do, decided before its one act: checked once, kept with the round."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from annotation.core.errors import InvalidInput
from annotation.runs.specs import needs_reward_model
from training.spec.presets import PRESETS

ALGORITHMS = ("ppo", "grpo", "dpo", "kto", "sft")
PROMOTIONS = ("when_better", "by_hand")
BOUNDS: Mapping[str, tuple[float, float]] = {
    "per_prompt": (2, 9),
    "max_prompts": (0, 10_000_000),
    "temperature": (0.0, 10.0),
    "max_tokens": (1, 100_000),
    "label_share": (0.01, 1.0),
    "blind_prompts": (0, 10_000),
    "blind_days": (1, 365),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": tuple(PRESETS),
    "algorithm": ALGORITHMS,
    "promotion": PROMOTIONS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sampling, how many labels are enough, how to train, who judges the new policy, and when it serves."""

    per_prompt: int = 2
    max_prompts: int = 0  # 0: all
    temperature: float = 0.8
    max_tokens: int = 256
    label_share: float = 1.0  # of the labels that the comparisons have places for
    preset: str = "standard"
    algorithm: str = "ppo"
    promotion: str = "when_better"
    blind_prompts: int = (
        0  # on which people compare the new policy with the old; 0: nobody is asked
    )
    blind_days: int = 7  # that the round waits for their votes at most

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:  # Any: JSON from outside
        """The checked plan; missing keys take their defaults. Raises InvalidInput at the key."""
        known = [one.name for one in fields(cls)]
        if unknown := sorted(set(data) - set(known)):
            raise InvalidInput.at(
                unknown[0], f"A round's plan has no {unknown[0]!r}; it has {', '.join(known)}."
            )
        return cls(**{name: checked(name, value) for name, value in data.items()})

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        return asdict(self)

    @property
    def has_reward_model(self) -> bool:
        """Whether its algorithm learns from the scores of a reward model."""
        return needs_reward_model(self.algorithm)

    @property
    def is_measured(self) -> bool:
        """Whether anything compares the new policy with the one before: a reward model, or people."""
        return self.has_reward_model or self.blind_prompts > 0


def checked(name: str, value: Any) -> Any:  # Any: as above
    """The value of one setting. Raises InvalidInput at its name."""
    if name in CHOICES:
        if value not in CHOICES[name]:
            known = ", ".join(CHOICES[name])
            raise InvalidInput.at(name, f"{value!r} is not one of {known}.")
        return value
    low, high = BOUNDS[name]
    wanted = type(getattr(Plan(), name))
    types = (int, float) if wanted is float else (int,)
    if isinstance(value, bool) or not isinstance(value, types) or not low <= value <= high:
        raise InvalidInput.at(name, f"{value!r} is not a number from {low:g} to {high:g}.")
    return wanted(value)
