"""The minus of numbers that people read: as wide as a digit, where a hyphen is not."""


def with_minus(number: str) -> str:
    """The number with a true minus before it: −0.46 for -0.46; an exponent keeps its hyphen."""
    return f"−{number[1:]}" if number.startswith("-") else number
