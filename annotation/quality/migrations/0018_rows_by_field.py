"""The rows of a chunk, field by field: what a view does not ask for is not gone through.

The column has another name after it, so that a worker of the code before fails and does not write rows the old way.
"""

import numpy as np
from django.db import migrations

# As `annotation.quality.stored.ROW` was when this was written.
ROW = np.dtype(
    [
        ("judgment", "<u4"),
        ("pair", "<u4"),
        ("given_at", "<u4"),
        ("labeler", "<u2"),
        ("active", "<u2"),
        ("guideline", "u1"),
        ("said", "u1"),
    ]
)


def by_field(apps, schema_editor):
    _rewrite(apps, lambda data: b"".join(np.frombuffer(data, ROW)[name].tobytes() for name in ROW.names))


def by_row(apps, schema_editor):
    _rewrite(apps, _packed)


def _packed(data):
    rows = np.zeros(len(data) // ROW.itemsize, ROW)
    for name, (kind, start) in ROW.fields.items():
        rows[name] = np.frombuffer(data, kind, len(rows), start * len(rows))
    return rows.tobytes()


def _rewrite(apps, change):
    for chunk in apps.get_model("quality", "RowChunk").objects.iterator(chunk_size=8):
        chunk.data = change(chunk.data)
        chunk.save(update_fields=["data"])


class Migration(migrations.Migration):

    dependencies = [
        ("quality", "0017_style_of_responses"),
    ]

    operations = [
        migrations.RunPython(by_field, by_row),
        migrations.RenameField("rowchunk", "data", "fields"),
    ]
