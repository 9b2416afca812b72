"""Training runs: one execution of a trainer over a snapshot, from a spec; what it said and what it made."""

import uuid

from django.db import models
from django.utils import timezone

from annotation.core.jobs import Job, JobModel
from annotation.datasets.models import DatasetSnapshot
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from training.spec.runs import SPECS


class TrainingRun(JobModel):
    """A job: `python -m training run FOLDER`, followed by a worker."""

    job = Job.EXECUTE_RUN

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20)  # a key of training.spec.runs.SPECS
    spec = models.JSONField()
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="runs")
    base_model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    reward_model = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    held_out_reward_model = models.ForeignKey(  # watches, and does not teach
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # The server that writes the responses; None: the run's own process does.
    sampler = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    model_version = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="run"
    )
    waits_since = "queued_at"
    in_line = ("queued_at", "pk")  # one that is tried again goes to the end
    queued_at = models.DateTimeField(default=timezone.now)
    timeout_seconds = models.PositiveIntegerField(default=86_400)
    code_revision = models.CharField(max_length=64, blank=True, default="")
    result = models.JSONField(default=dict)
    token = models.UUIDField(default=uuid.uuid4, editable=False)
    work_folder = models.CharField(max_length=32, blank=True, default="")  # which one it works in
    events_offset = models.BigIntegerField(default=0)  # bytes of its events.jsonl already taken in
    stage = models.CharField(max_length=60, blank=True, default="")  # what its progress counts
    log_tail = models.TextField(blank=True, default="")
    machine = models.JSONField(default=dict)  # training.spec.events.Machine, as its process told

    @property
    def checkpoints_place(self) -> str:
        """Where its checkpoints lie in the bucket; the token tells it from a run with its id in another database."""
        return f"runs/{self.pk}-{self.token.hex}"

    @property
    def host(self) -> str:
        """The machine whose worker has it; empty while none has."""
        return self.owner.partition(":")[0]

    @property
    def title(self) -> str:
        """What kind of run this is, in words."""
        return SPECS[self.kind].title if self.kind in SPECS else self.kind


class RunEvent(models.Model):
    """One line of a run's `events.jsonl`."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=20)
    step = models.PositiveIntegerField(default=0)
    at = models.DateTimeField()
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["run", "kind", "id"], name="events_of_a_run")]
