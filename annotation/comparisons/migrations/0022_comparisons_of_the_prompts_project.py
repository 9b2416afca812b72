"""One foreign key for a comparison's prompt and project: two checks a row would tell less."""

import django.db.models.deletion
from django.db import migrations, models

ADD = """
ALTER TABLE comparisons_comparison ADD CONSTRAINT a_comparison_is_of_the_prompts_project
FOREIGN KEY (prompt_id, project_id) REFERENCES prompts_prompt (id, project_id) DEFERRABLE INITIALLY DEFERRED
"""
DROP = "ALTER TABLE comparisons_comparison DROP CONSTRAINT a_comparison_is_of_the_prompts_project"


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0021_mark_what_was_asked_again'),
        ('projects', '0009_former_labelers'),
        ('prompts', '0007_names_with_their_project'),
    ]

    operations = [
        migrations.AlterField(
            model_name='comparison',
            name='project',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='comparisons', to='projects.project'),
        ),
        migrations.AlterField(
            model_name='comparison',
            name='prompt',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='comparisons', to='prompts.prompt'),
        ),
        migrations.RunSQL(ADD, DROP),
    ]
