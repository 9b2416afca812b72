from django.db import migrations


class Migration(migrations.Migration):
    """Reports computed before lack columns that tables and pages read; a worker computes them anew."""

    dependencies = [("quality", "0005_live_tally")]

    operations = [
        migrations.RunSQL("DELETE FROM quality_agreementreport", migrations.RunSQL.noop)
    ]
