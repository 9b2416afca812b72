"""Short texts of people as they are stored."""

from annotation.core.errors import InvalidInput


def cleaned(text: str, field: str, longest: int) -> str:
    """A short text of a person as it is stored; raises InvalidInput naming the field."""
    told = text.strip()
    if len(told) > longest or "\0" in told:
        raise InvalidInput.at(
            field,
            f"The {field} has {len(told)} characters; it may have {longest}, and no NUL.",
        )
    return told


def needed(text: str, field: str, longest: int) -> str:
    """`cleaned`, and not empty."""
    if not (told := cleaned(text, field, longest)):
        raise InvalidInput.at(field, f"Write a {field}: others will read it later.")
    return told
