"""The names of columns as readers look them up: "Response A" in a header is response_a. JSON objects keep theirs."""

from collections import Counter
from collections.abc import Sequence

from annotation.prompts.readers.forms import JUDGED_COLUMNS
from annotation.prompts.readers.labels import is_wide
from annotation.prompts.readers.unjudged import UNJUDGED_COLUMNS

KNOWN = JUDGED_COLUMNS | UNJUDGED_COLUMNS


def column_names(header: Sequence[str]) -> list[str]:
    """The names of a header; one becomes a known name only where no other column of the file would have it too."""
    found = [_known_name(name) for name in header]
    times = Counter(found)
    return [new if times[new] == 1 else name for name, new in zip(header, found, strict=True)]


def _known_name(name: str) -> str:
    """The known column that differs from ``name`` in capitals, spaces and hyphens alone; else ``name``."""
    if name in KNOWN:
        return name
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    return plain if plain in KNOWN or is_wide(plain) else name
