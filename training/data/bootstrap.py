"""Weights of prompts that make the heads of a reward model differ (Bayesian bootstrap, Rubin 1981)."""

import random

from training.spec.preferences import RewardModelSpec


def bootstrap_weights(prompt_id: str, spec: RewardModelSpec) -> list[float]:
    """What a prompt counts for each head: exponential draws with mean 1, the same in every epoch.

    A single head takes every prompt as it is.
    """
    if spec.heads == 1:
        return [1.0]
    draw = random.Random(f"{spec.seed}/{prompt_id}")  # noqa: S311 - a weight, not a secret
    return [draw.expovariate(1.0) for _ in range(spec.heads)]
