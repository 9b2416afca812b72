"""The job of drawing the overlap again."""

from django.db import models

from annotation.core.jobs import Job, JobModel
from annotation.projects.models import Project


class OverlapDraw(JobModel):
    """Which of many comparisons get several labels, drawn again after the settings changed."""

    job = Job.DRAW_OVERLAP

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="overlap_draws")
    overlap = models.PositiveSmallIntegerField(default=1)  # of the project when it was asked for
    overlap_share = models.FloatField(default=1.0)
    last = models.BigIntegerField(default=0)  # the key of the last comparison that was drawn
    to_several = models.PositiveIntegerField(default=0)
    to_one = models.PositiveIntegerField(default=0)
