"""What judgments amount to: the latest agreement report of a project, and the resolution of each comparison."""

from django.db import models

from annotation.comparisons.models import Comparison
from annotation.projects.models import Project


class AgreementReport(models.Model):
    """The computed agreement of a project; one row a project, replaced as judgments come."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="agreement")
    last_judgment_id = models.BigIntegerField(default=0)
    judgments_counted = models.PositiveIntegerField(default=0)
    data = models.JSONField(default=dict)
    computed_at = models.DateTimeField(auto_now=True)


class Resolution(models.Model):
    """The one verdict a comparison ends with, and how it was reached. Votes stay beside it."""

    class Method(models.TextChoices):
        MAJORITY = "majority"
        DAWID_SKENE = "dawid_skene"
        ADJUDICATED = "adjudicated"

    comparison = models.OneToOneField(
        Comparison, on_delete=models.CASCADE, related_name="resolution"
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="resolutions")
    method = models.CharField(max_length=12, choices=Method)
    ranking = models.JSONField(default=list)
    is_all_bad = models.BooleanField(default=False)
    confidence = models.FloatField(null=True)
    resolved_at = models.DateTimeField(auto_now=True)
