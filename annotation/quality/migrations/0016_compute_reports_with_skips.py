from django.db import migrations


class Migration(migrations.Migration):
    """Reports computed before lack the rate of skips and what it is of; a worker computes them anew."""

    dependencies = [("quality", "0015_what_early_stop_asked_for_is_apart")]

    operations = [
        migrations.RunSQL("DELETE FROM quality_agreementreport", migrations.RunSQL.noop)
    ]
