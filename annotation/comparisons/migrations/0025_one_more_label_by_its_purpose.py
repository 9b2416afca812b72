"""Batches of one more label are told by what they ask for, no longer by their one comparison."""

from django.db import migrations

NAME_PURPOSE = """
UPDATE comparisons_batch SET made_from = '{"asked": "one more label"}' WHERE made_from ? 'comparison'
"""


class Migration(migrations.Migration):

    dependencies = [
        ("comparisons", "0024_chance_with_which_it_was_drawn"),
    ]

    operations = [
        migrations.RunSQL(NAME_PURPOSE, migrations.RunSQL.noop),
    ]
