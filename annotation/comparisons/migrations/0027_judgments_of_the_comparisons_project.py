"""One foreign key for a judgment's comparison and project: two checks a row would tell less."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


ADD = """
ALTER TABLE comparisons_judgment ADD CONSTRAINT a_judgment_is_of_the_comparisons_project
FOREIGN KEY (comparison_id, project_id) REFERENCES comparisons_comparison (id, project_id)
DEFERRABLE INITIALLY DEFERRED
"""
DROP = "ALTER TABLE comparisons_judgment DROP CONSTRAINT a_judgment_is_of_the_comparisons_project"


class Migration(migrations.Migration):

    dependencies = [
        ('comparisons', '0026_compared_once_for_its_prompt'),
        ('generation', '0008_candidates_of_the_prompts_project'),
        ('projects', '0010_criterion_title'),
        ('prompts', '0007_names_with_their_project'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='comparison',
            name='comparisons_by_project',
        ),
        migrations.AlterField(
            model_name='judgment',
            name='comparison',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='judgments', to='comparisons.comparison'),
        ),
        migrations.AlterField(
            model_name='judgment',
            name='guideline',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='judgments', to='projects.guideline'),
        ),
        migrations.AlterField(
            model_name='judgment',
            name='project',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='judgments', to='projects.project'),
        ),
        migrations.AddIndex(
            model_name='judgment',
            index=models.Index(condition=models.Q(('guideline__isnull', False)), fields=['guideline'], name='judgments_by_guideline'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.UniqueConstraint(fields=('project', 'id'), name='a_comparison_is_of_one_project'),
        ),
        migrations.RunSQL(ADD, DROP),
    ]
