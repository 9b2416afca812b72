"""The keys of the labeling page: a closed list of acts, each with its usual key, and the keys that may take its place.

Digits answer, Enter submits, Escape leaves; those stay. Everything else can be moved (WCAG 2.1.4).
"""

from collections.abc import Mapping
from string import ascii_lowercase
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.core.errors import InvalidInput

KEYS = (*ascii_lowercase, *"!?.,;/=[]")


class Action(NamedTuple):
    """Something a key does: its name in the page's script, its usual key, and what it says to people."""

    name: str
    usual_key: str
    words: str | Promise


ACTIONS = (
    Action("all_bad", "b", _("all are bad: none is acceptable")),
    Action("undo", "z", _("undo the last judgment or skip")),
    Action("skip", "k", _("skip, with a reason")),
    Action("flag", "!", _("flag it for the admins, with a note")),
    Action("rationale", "n", _("say why")),
    Action("extend", "e", _("more time")),
    Action("prompt", "p", _("show or hide the prompt")),
    Action("sync", "s", _("scroll together")),
    Action("diff", "d", _("word diff")),
    Action("raw", "r", _("raw text")),
    Action("reveal", "v", _("show blurred text")),
    Action("guideline", "g", _("guideline")),
    Action("help", "?", _("this list")),
)
NAMES = frozenset(one.name for one in ACTIONS)


class BoundKey(NamedTuple):
    """An act with the key that one labeler has for it."""

    name: str
    key: str
    words: str | Promise


def keys_of(chosen: Mapping[str, str]) -> list[BoundKey]:
    """Every act with its key: the chosen one, or the usual one."""
    return [BoundKey(one.name, chosen.get(one.name, one.usual_key), one.words) for one in ACTIONS]


def check_keys(chosen: Mapping[str, str]) -> dict[str, str]:
    """What differs from the usual keys. Raises InvalidInput for an unknown act or key, or a key given twice."""
    for name, key in chosen.items():
        if name not in NAMES:
            raise InvalidInput.at(
                "keys", f"There is no act {name!r}; it is one of {', '.join(sorted(NAMES))}."
            )
        if key not in KEYS:
            raise InvalidInput.at(name, f"{key!r} cannot be a key here; choose one of the list.")
    holder: dict[str, BoundKey] = {}
    for bound in keys_of(chosen):
        if bound.key in holder:
            words = f"“{holder[bound.key].words}” and “{bound.words}”"
            raise InvalidInput.at(
                bound.name, f"{bound.key.upper()} is chosen twice: for {words}. Change one of them."
            )
        holder[bound.key] = bound
    usual = {one.name: one.usual_key for one in ACTIONS}
    return {name: key for name, key in chosen.items() if key != usual[name]}
