"""One foreign key for a candidate's prompt and project: two checks a row would tell less."""

import django.db.models.deletion
from django.db import migrations, models

ADD = """
ALTER TABLE generation_candidate ADD CONSTRAINT a_candidate_is_of_the_prompts_project
FOREIGN KEY (prompt_id, project_id) REFERENCES prompts_prompt (id, project_id) DEFERRABLE INITIALLY DEFERRED
"""
DROP = "ALTER TABLE generation_candidate DROP CONSTRAINT a_candidate_is_of_the_prompts_project"


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0007_index_only_what_is_there'),
        ('projects', '0009_former_labelers'),
        ('prompts', '0007_names_with_their_project'),
    ]

    operations = [
        migrations.AlterField(
            model_name='candidate',
            name='project',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='candidates', to='projects.project'),
        ),
        migrations.AlterField(
            model_name='candidate',
            name='prompt',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='candidates', to='prompts.prompt'),
        ),
        migrations.RunSQL(ADD, DROP),
    ]
