"""The server that samples for the policy's run of a round."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0002_scoring_requests"),
        ("rounds", "0002_blind_votes"),
    ]

    operations = [
        migrations.AddField(
            model_name="round",
            name="sampler",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.modelversion",
            ),
        ),
    ]
