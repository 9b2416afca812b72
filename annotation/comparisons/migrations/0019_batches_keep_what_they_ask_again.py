"""Where comparisons were before a batch asked them again, for its undo."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0018_a_draw_keeps_its_settings'),
    ]

    operations = [
        migrations.AddField(
            model_name='batch',
            name='asked_again',
            field=models.JSONField(default=list),
        ),
    ]
