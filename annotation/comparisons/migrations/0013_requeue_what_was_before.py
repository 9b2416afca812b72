from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0012_flags_are_answered'),
    ]

    operations = [
        migrations.AlterField(
            model_name='requeue',
            name='scope',
            field=models.CharField(choices=[('disagreed', 'Disagreed'), ('judged_under', 'Judged Under'), ('before', 'Before')], max_length=12),
        ),
    ]
