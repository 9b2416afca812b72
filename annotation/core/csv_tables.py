"""Tables as CSV for spreadsheets. A cell that a spreadsheet would run as a formula is quoted."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from django.http import StreamingHttpResponse

from annotation.core.text import inert

Row = list[Any]  # Any: a cell is text or a number


def csv_lines(head: list[str], rows: Iterable[Row]) -> Iterator[str]:
    """The table as CSV text, a line at a time."""
    for row in chain([head], rows):
        line = io.StringIO()
        csv.writer(line).writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
        yield line.getvalue()


def csv_download(head: list[str], rows: Iterable[Row], *, filename: str) -> StreamingHttpResponse:
    """A table as a download."""
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{filename}"'}
    lines = (line.encode() for line in csv_lines(head, rows))
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)
