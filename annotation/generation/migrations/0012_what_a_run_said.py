import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0011_runs_begun_together'),
    ]

    operations = [
        migrations.AddField(
            model_name='promptoutcome',
            name='candidate_ids',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list, size=None),
        ),
    ]
