"""Text manners: canonical form, fingerprints."""

import hashlib
import unicodedata
from collections.abc import Sequence
from json.encoder import encode_basestring


def canonical(text: str) -> str:
    """NFC, Unix line ends, no trailing space: equal for people, equal for us."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join([line.rstrip() for line in lines]).strip()


def fingerprint(parts: Sequence[str]) -> str:
    """Hex sha256 of the canonical parts; the boundaries between parts count."""
    payload = ", ".join([encode_basestring(canonical(part)) for part in parts])
    return hashlib.sha256(f"[{payload}]".encode()).hexdigest()
