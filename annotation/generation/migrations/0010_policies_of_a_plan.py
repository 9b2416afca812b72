"""A plan asks several policies: what it asked so far is the first of them."""

from django.db import migrations, models

KEEP = """
INSERT INTO generation_samplingplan_policies (samplingplan_id, modelversion_id)
SELECT project_id, policy_id FROM generation_samplingplan WHERE policy_id IS NOT NULL
"""
KEEP_ONE = """
UPDATE generation_samplingplan plan SET policy_id = (
    SELECT min(one.modelversion_id) FROM generation_samplingplan_policies one
    WHERE one.samplingplan_id = plan.project_id)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0009_prompt_tokens_cut'),
        ('projects', '0009_former_labelers'),
        ('registry', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='samplingplan',
            name='policies',
            field=models.ManyToManyField(related_name='+', to='registry.modelversion'),
        ),
        migrations.RunSQL(
            [KEEP, 'SET CONSTRAINTS ALL IMMEDIATE'], [KEEP_ONE, 'SET CONSTRAINTS ALL IMMEDIATE']
        ),
        migrations.RemoveField(
            model_name='samplingplan',
            name='policy',
        ),
    ]
