from django.db import migrations


class Migration(migrations.Migration):
    """Reports computed before lack the policies under other models; a worker computes them anew."""

    dependencies = [("quality", "0007_people_and_machines_apart")]

    operations = [
        migrations.RunSQL("DELETE FROM quality_agreementreport", migrations.RunSQL.noop)
    ]
