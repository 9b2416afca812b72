"""A prompt and its project as one name, for the foreign keys of what is made of it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0009_former_labelers'),
        ('prompts', '0006_rows_taken_in_part'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='prompt',
            constraint=models.UniqueConstraint(fields=('id', 'project'), name='a_prompt_is_of_one_project'),
        ),
    ]
