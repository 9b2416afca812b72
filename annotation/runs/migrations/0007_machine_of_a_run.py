"""On which machine a run computed, as its process tells when it starts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0006_token_of_a_run")]
    operations = [
        migrations.AddField(
            model_name="trainingrun", name="machine", field=models.JSONField(default=dict)
        )
    ]
