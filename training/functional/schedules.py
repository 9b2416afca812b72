"""Learning-rate schedules as functions of the step."""

import math


def warmup_then_linear(step: int, *, total: int, warmup_share: float) -> float:
    """Factor of the peak rate at ``step`` (0-based): a linear rise, then a linear fall to 0."""
    warmup = math.ceil(total * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (total - step) / max(1, total - warmup))


def warmup_then_cosine(step: int, *, total: int, warmup_share: float, floor: float = 0.0) -> float:
    """As above, falling along half a cosine to ``floor``."""
    warmup = math.ceil(total * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
