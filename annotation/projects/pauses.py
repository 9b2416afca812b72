"""Why a labeler is paused, as it is stored and as they read it."""

import re

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

FAILED_GOLD = gettext_noop(
    "%(failed)s of your last %(of_last)s answers to comparisons with a known answer differ from it. "
    "An admin will look at this with you."
)
_STORED = re.compile(re.sub(r"%\((\w+)\)s", r"(?P<\1>[0-9]+)", FAILED_GOLD.replace(".", r"\.")))


def failed_gold(*, failed: int, of_last: int) -> str:
    """What a rule says that pauses on gold, as it is stored: in English."""
    return FAILED_GOLD % {"failed": failed, "of_last": of_last}


def told(reason: str) -> str:
    """A stored reason to its labeler: a rule's in the language of who reads, an admin's as it was written."""
    found = _STORED.fullmatch(reason)
    return _(FAILED_GOLD) % found.groupdict() if found else reason
