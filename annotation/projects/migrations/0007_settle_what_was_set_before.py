from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0006_early_stop_is_settled'),
    ]

    operations = [
        migrations.RunSQL(
            'UPDATE projects_project SET is_early_stop_settled = false'
            ' WHERE stop_when_agreeing IS NOT NULL',
            migrations.RunSQL.noop,
        ),
    ]
