"""Rates and durations as people read them."""

SLOW = 0.1  # units a second, below which the seconds of one are told


def duration_text(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def rate_text(a_second: float, unit: str) -> str:
    """`2.5 steps/s`; `20 s a step` where it is slow. ``unit`` is a plural."""
    if a_second < SLOW:
        return f"{1 / a_second:.0f} s a {one_of(unit)}"
    return f"{a_second:.2g} {unit}/s"


def one_of(unit: str) -> str:
    """The singular of a unit that runs count in."""
    return unit.removesuffix("es" if unit.endswith("ches") else "s")
