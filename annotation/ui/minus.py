"""The minus of numbers that people read: as wide as a digit, where a hyphen is not."""


def with_minus(number: str) -> str:
    """The number with a true minus: −0.46 for -0.46."""
    return number.replace("-", "−")
