"""Downloads as streaming answers; pages and API share them."""

from django.http import StreamingHttpResponse

from annotation.core import csv_tables
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services import comparing
from annotation.datasets.services.comparing import Change
from annotation.datasets.services.exporting import Export, FileFormat
from annotation.projects.models import Project

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


def changes_download(
    project: Project, *, snapshot: DatasetSnapshot, against: DatasetSnapshot, change: Change
) -> StreamingHttpResponse:
    """The pairs that changed so between two snapshots, a row a pair."""
    pairs = comparing.changed_pairs(snapshot=snapshot, against=against, change=change)
    name = f"{change}-{against.sha256[:8]}-{snapshot.sha256[:8]}.csv"
    rows = comparing.table_rows(project, pairs)
    return csv_tables.csv_download(list(comparing.HEAD), rows, filename=name)
