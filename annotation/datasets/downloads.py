"""A download of a snapshot as a streaming answer; pages and API share it."""

from collections.abc import Iterator
from typing import IO, Any

from django.http import StreamingHttpResponse

from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services import exporting
from annotation.datasets.services.exporting import FileFormat, Form

TYPES = {
    FileFormat.JSONL: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
}
PIECE = 1 << 16


def download(
    snapshot: DatasetSnapshot, *, form: str, file_format: str, split: str
) -> StreamingHttpResponse:
    """Rows leave as they are read; Parquet leaves once its file is whole."""
    shape, kind = Form(form), FileFormat(file_format)
    rows = exporting.rows_of(snapshot, form=shape, split=split)
    content: Iterator[bytes]
    if kind is FileFormat.JSONL:
        content = exporting.jsonl(rows)
    else:
        content = _pieces(exporting.parquet(rows, form=shape))
    name = exporting.filename(snapshot, form=shape, split=split, file_format=kind)
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(content, content_type=TYPES[kind], headers=headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece
