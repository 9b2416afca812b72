"""Stored reports are of an earlier shape; they are derived, and the page rings for new ones."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("quality", "0003_judgments_as_columns")]
    operations = [
        migrations.RunSQL("DELETE FROM quality_agreementreport", migrations.RunSQL.noop)
    ]
