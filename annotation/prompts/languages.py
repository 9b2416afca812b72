"""Whether a person reads the language of a prompt: regions make no difference, so "en" reads "en-US" and "en_GB"."""

from django.db.models import F, Func, TextField

# The same as `primary_language`, of a column in SQL.
PRIMARY_LANGUAGE = "split_part(translate(lower({code}), '_', '-'), '-', 1)"


def primary_language_of(column: str) -> Func:
    """The same as an expression of the ORM."""
    return Func(
        F(column),
        template=PRIMARY_LANGUAGE.format(code="%(expressions)s"),
        output_field=TextField(),
    )


def primary_language(code: str) -> str:
    """The language of a code without its region, in small letters: "en" of "en-US"."""
    return code.lower().replace("_", "-").partition("-")[0]
