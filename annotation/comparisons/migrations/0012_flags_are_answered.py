from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0011_index_only_what_is_there'),
    ]

    operations = [
        migrations.AddField(
            model_name='flag',
            name='answer',
            field=models.CharField(blank=True, default='', max_length=1000),
        ),
    ]
