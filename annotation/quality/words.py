"""Short texts of people as they are stored."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from annotation.core.errors import InvalidInput

FIELDS = (
    gettext_noop("text"),
    gettext_noop("answer"),
    gettext_noop("reason"),
    gettext_noop("note"),
    gettext_noop("name"),
)


def cleaned(text: str, field: str, longest: int) -> str:
    """A short text of a person as it is stored; raises InvalidInput naming the field, one of FIELDS."""
    told = text.strip()
    if len(told) > longest or "\0" in told:
        sentence = _("The %(field)s has %(many)s characters; it may have %(most)s, and no NUL.")
        said = {"field": _(field), "many": len(told), "most": longest}
        raise InvalidInput.at(field, sentence % said)
    return told


def needed(text: str, field: str, longest: int) -> str:
    """`cleaned`, and not empty."""
    if not (told := cleaned(text, field, longest)):
        sentence = _("Write a %(field)s: others will read it later.")
        raise InvalidInput.at(field, sentence % {"field": _(field)})
    return told
