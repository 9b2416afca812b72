from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('evaluations', '0003_scored_in_part'),
    ]

    operations = [
        migrations.AddField(
            model_name='rewardcomparison',
            name='refused',
            field=models.JSONField(default=dict),
        ),
    ]
