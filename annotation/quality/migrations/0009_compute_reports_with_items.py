from django.db import migrations


class Migration(migrations.Migration):
    """Reports computed before lack the order of the items; a worker computes them anew."""

    dependencies = [("quality", "0008_compute_reports_with_other_models")]

    operations = [
        migrations.RunSQL("DELETE FROM quality_agreementreport", migrations.RunSQL.noop)
    ]
