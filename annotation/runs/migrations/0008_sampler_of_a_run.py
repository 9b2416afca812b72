import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0002_scoring_requests'),
        ('runs', '0007_machine_of_a_run'),
    ]

    operations = [
        migrations.AddField(
            model_name='trainingrun',
            name='sampler',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.modelversion'),
        ),
    ]
