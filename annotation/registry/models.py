"""Published models: policies that generate, reward models that score, judges. Immutable but for their stage."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.core.jobs import Job, JobModel
from annotation.projects.models import Project


class ModelVersion(models.Model):
    """One published artifact or one served endpoint, and where it came from."""

    class Kind(models.TextChoices):
        POLICY = "policy"
        REWARD = "reward"
        JUDGE = "judge"

    class Stage(models.TextChoices):
        CANDIDATE = "candidate"
        SERVING = "serving"
        RETIRED = "retired"

    class Backend(models.TextChoices):
        LOCAL = "local"  # a folder or hub name that transformers loads
        HTTP = "http"  # an OpenAI-compatible server

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="model_versions")
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=120)
    number = models.PositiveIntegerField(default=1)
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.CANDIDATE)
    backend = models.CharField(max_length=10, choices=Backend, default=Backend.LOCAL)
    location = models.CharField(max_length=500)  # folder, hub name or base URL
    remote_model = models.CharField(max_length=200, blank=True, default="")
    api_key_variable = models.CharField(
        max_length=100, blank=True, default=""
    )  # name of an env variable
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    lineage = models.JSONField(default=dict)  # snapshot, judgments, guideline versions, code, spec
    metrics = models.JSONField(default=dict)
    # of the list of its folder's files, where a run made it; of a folder that somebody names, nothing is known
    sha256 = models.CharField(max_length=64, blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name", "number"], name="a_model_version_is_numbered_once"
            ),
            models.UniqueConstraint(
                fields=["project", "kind"],
                condition=Q(stage="serving"),
                name="one_model_of_a_kind_serves_a_project",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


class ScoringRequest(JobModel):
    """A job: score some chats by a reward model. Requests for one model that wait together are scored together."""

    job = Job.SCORE_CHATS

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="scoring_requests")
    version = models.ForeignKey(
        ModelVersion, on_delete=models.CASCADE, related_name="scoring_requests"
    )
    chats = models.JSONField()  # [[{"role", "content"}, ...], ...]; the last turn is the response
    scores = models.JSONField(default=list)  # [{"raw", "calibrated", "deviation", "criteria"}]
    temperature = models.FloatField(default=1.0)  # of the model: calibrated = raw / temperature

    class Meta:
        indexes = [
            models.Index(
                fields=["version", "id"],
                condition=Q(status="queued"),
                name="scoring_requests_that_wait",
            )
        ]
