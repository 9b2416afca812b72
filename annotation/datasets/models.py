"""Dataset snapshots: immutable, content-addressed training records."""

from django.db import models

from annotation.core.jobs import Job, JobModel
from annotation.projects.models import Project


class DatasetSnapshot(JobModel):
    """A query with its rules, and the records it gave: equal query and judgments, equal sha256."""

    job = Job.BUILD_SNAPSHOT

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="snapshots")
    name = models.CharField(max_length=120)
    query = models.JSONField(default=dict)  # filters and rules
    sha256 = models.CharField(max_length=64, blank=True, default="")  # of groups.jsonl
    rows = models.PositiveIntegerField(default=0)  # groups
    pairs = models.PositiveIntegerField(default=0)
    splits = models.JSONField(default=dict)  # {"train": n, "validation": n, "test": n}
    manifest = models.JSONField(default=dict)
    folder = models.CharField(
        max_length=500, blank=True, default=""
    )  # holds groups.jsonl, manifest.json
