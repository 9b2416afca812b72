"""Text manners: canonical form, fingerprints, keys of rows as people type them."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from json.encoder import encode_basestring

LAST_KEY = 2**63 - 1


def is_key(typed: str) -> bool:
    """Whether it can be the key of a row: digits, and no more than the database counts to."""
    return typed.isascii() and typed.isdigit() and len(typed) < 20 and int(typed) <= LAST_KEY


def with_lines(text: str) -> str:
    """With line ends as they are stored; browsers send others."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def canonical(text: str) -> str:
    """NFC, Unix line ends, no trailing space: equal for people, equal for us."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return "\n".join(map(str.rstrip, with_lines(text).split("\n"))).strip()


def fingerprint(parts: Sequence[str]) -> str:
    """Hex sha256 of the canonical parts; the boundaries between parts count."""
    payload = ", ".join([encode_basestring(canonical(part)) for part in parts])
    return hashlib.sha256(f"[{payload}]".encode()).hexdigest()


KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}


def kind_of(value: object) -> str:
    """What a JSON value is, in words for a sentence."""
    return KINDS.get(type(value), "a number")


FORMULA_STARTS = frozenset("'=+-@\t\r")
FORMULA = re.compile(r"'*[=+\-@\t\r]")
INERT_FORMULA = re.compile(r"'+[=+\-@\t\r]")


def inert(cell: str) -> str:
    """The text for a cell of a spreadsheet, with an apostrophe before what would act as a formula there."""
    return f"'{cell}" if cell[:1] in FORMULA_STARTS and FORMULA.match(cell) else cell


def from_inert(cell: str) -> str:
    """The text that `inert` was given."""
    return cell[1:] if INERT_FORMULA.match(cell) else cell
