"""Text manners: canonical form, fingerprints."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence

_encode = json.JSONEncoder(ensure_ascii=False).encode


def canonical(text: str) -> str:
    """NFC, Unix line ends, no trailing space: equal for people, equal for us."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def fingerprint(parts: Sequence[str]) -> str:
    """Hex sha256 of the canonical parts; the boundaries between parts count."""
    payload = _encode([canonical(part) for part in parts])
    return hashlib.sha256(payload.encode()).hexdigest()
