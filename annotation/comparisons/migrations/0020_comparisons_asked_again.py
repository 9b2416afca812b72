"""When comparisons got a further place for what was said of them."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0019_batches_keep_what_they_ask_again'),
    ]

    operations = [
        migrations.AddField(
            model_name='comparison',
            name='asked_again_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
