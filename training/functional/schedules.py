"""Learning-rate schedules: the factor of the peak rate at a step."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

FALLS: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "linear": lambda left: left,
        "cosine": lambda left: 0.5 * (1 - math.cos(math.pi * left)),
        "constant": lambda _left: 1.0,
    }
)


def rate_factor(step: int, *, total: int, warmup_share: float, fall: str) -> float:
    """Factor at ``step`` (0-based): a linear rise, then one of ``FALLS`` of the share that is left to fall."""
    warmup = math.ceil(total * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    return FALLS[fall](max(0.0, (total - step) / max(1, total - warmup)))
