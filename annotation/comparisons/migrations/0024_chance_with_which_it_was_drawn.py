"""The chance with which a comparison was drawn, where its policies were chosen by what a verdict tells."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("comparisons", "0023_when_it_was_skipped"),
    ]

    operations = [
        migrations.AddField(
            model_name="comparison",
            name="propensity",
            field=models.FloatField(blank=True, null=True),
        ),
    ]
