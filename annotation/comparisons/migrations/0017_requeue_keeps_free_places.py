"""The free places that a comparison which ended early had before it was queued again, for the undo."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0016_flag_a_note_once_while_open'),
    ]

    operations = [
        migrations.AddField(
            model_name='requeue',
            name='places_free',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), default=list, size=None),
        ),
    ]
