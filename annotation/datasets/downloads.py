"""A download as a streaming answer; pages and API share it."""

from django.http import StreamingHttpResponse

from annotation.datasets.services.exporting import Export, FileFormat

TYPES = {
    FileFormat.JSONL: "application/x-ndjson",
    FileFormat.JSON: "application/json",
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
}


def download(export: Export, file_format: FileFormat) -> StreamingHttpResponse:
    """Rows leave as they are read; Parquet leaves once its file is whole."""
    name = export.filename(file_format)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    pieces = export.pieces(file_format)
    return StreamingHttpResponse(pieces, content_type=TYPES[file_format], headers=headers)
