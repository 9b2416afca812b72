"""The bounds of a request to sample, checked in one place for form, API and code."""

import math

from annotation.core.errors import InvalidInput

MOST_PER_PROMPT = 64
MOST_TOKENS = 32_768
LARGEST_SEED = 2**31 - 1
HOTTEST = 5.0


def check_sampling(
    *, per_prompt: int, temperature: float, top_p: float, max_tokens: int, seed: int
) -> None:
    """Refuse what no policy can be asked; the error names the field and the value seen."""
    _between("per_prompt", per_prompt, 1, MOST_PER_PROMPT)
    _between("temperature", temperature, 0, HOTTEST)
    _between("max_tokens", max_tokens, 1, MOST_TOKENS)
    _between("seed", seed, 0, LARGEST_SEED)
    if not (math.isfinite(top_p) and 0 < top_p <= 1):
        raise InvalidInput.at("top_p", f"top_p is {top_p}; it lies above 0 and up to 1.")
    if temperature == 0 and per_prompt > 1:
        raise InvalidInput.at(
            "temperature",
            "At temperature 0 all responses to a prompt are the same; raise it, or ask for one.",
        )


def _between(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput.at(name, f"{name} is {value}; it lies from {low:g} to {high:g}.")
