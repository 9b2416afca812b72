"""What trained models are worth: the facts of their cards."""

from django.db import models

from annotation.registry.models import ModelVersion


class ModelCard(models.Model):
    """Facts of one model version, computed when its run ended; pages only read them."""

    version = models.OneToOneField(
        ModelVersion, primary_key=True, on_delete=models.CASCADE, related_name="card"
    )
    facts = models.JSONField(default=dict)  # what the run computed: training.evals.reward_card
    by_labeler = models.JSONField(default=list)  # [{"labeler", "kind", value, interval, n, reason}]
    by_criterion = models.JSONField(default=list)  # [{"name", value, interval, n, reason}]
    created_at = models.DateTimeField(auto_now=True)
