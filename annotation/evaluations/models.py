"""What trained models are worth: the facts of their cards, and policies compared blind by people."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from annotation.comparisons.models import Batch
from annotation.core.jobs import Job, JobModel
from annotation.generation.models import GenerationRun
from annotation.projects.models import Project
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


class Evaluation(models.Model):
    """Two policies answer the same held-out prompts; people compare the answers blind until it is decided."""

    class State(models.TextChoices):
        ANSWERING = "answering"
        COMPARING = "comparing"
        DECIDED = "decided"  # the interval excludes one half
        UNDECIDED = "undecided"  # every vote is in, and it does not
        STOPPED = "stopped"
        FAILED = "failed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="evaluations")
    policy = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    baseline = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    generation = models.OneToOneField(
        GenerationRun, null=True, on_delete=models.PROTECT, related_name="+"
    )
    baseline_generation = models.OneToOneField(
        GenerationRun, null=True, on_delete=models.PROTECT, related_name="+"
    )
    batch = models.OneToOneField(Batch, null=True, on_delete=models.PROTECT, related_name="+")
    # Comparisons of its answers that were there before: the first vote on each counts.
    compared_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    is_judged = models.BooleanField(default=True)  # by people
    state = models.CharField(max_length=10, choices=State, default=State.ANSWERING)
    prompts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.policy} against {self.baseline}"

    @property
    def told_state(self) -> str:
        """The state in a word; where people were not asked, the scores are all that was to come."""
        is_scored = self.state == self.State.UNDECIDED and not self.is_judged
        return "scored" if is_scored else str(self.state)

    @property
    def is_over(self) -> bool:
        return self.state not in {self.State.ANSWERING, self.State.COMPARING}


class RewardComparison(JobModel):
    """A job: a reward model scores every answer of an evaluation."""

    job = Job.SCORE_EVALUATION

    evaluation = models.OneToOneField(
        Evaluation, on_delete=models.CASCADE, related_name="reward_comparison"
    )
    reward_model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    scores = models.JSONField(default=dict)  # candidate id -> score
    truncated = models.JSONField(default=list)  # candidate ids that were scored in part
    refused = models.JSONField(default=dict)  # candidate id -> why it has no score

    @property
    def refusal(self) -> str:
        """Why one of those has none; empty where all were scored."""
        reason: str = next(iter(self.refused.values()), "")
        return reason
