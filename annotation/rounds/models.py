"""Rounds: one lap of the loop, started by one act, and the rows of each of its parts."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.comparisons.models import Batch
from annotation.datasets.models import DatasetSnapshot
from annotation.evaluations.models import Evaluation
from annotation.generation.models import GenerationRun
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.runs.models import TrainingRun


class Round(models.Model):
    """Responses, labels, snapshot, reward model, policy, evaluation: one after the other.

    ``stage`` is the part that is under way; `services.advancing` moves it, one conditional update a step.
    """

    class Stage(models.TextChoices):
        GENERATE = "generate", "Responses"
        LABEL = "label", "Labels"
        SNAPSHOT = "snapshot", "Snapshot"
        REWARD = "reward", "Reward model"
        POLICY = "policy", "Policy"
        EVALUATE = "evaluate", "Evaluation"

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        FAILED = "failed"
        CANCELLED = "cancelled"
        DONE = "done"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.GENERATE)
    plan = models.JSONField()  # annotation.rounds.plans.Plan
    policy = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="rounds")
    sampler = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )  # the server that samples for the policy's run; None: its own process does
    generation = models.ForeignKey(
        GenerationRun, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    batch = models.ForeignKey(
        Batch, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    snapshot = models.ForeignKey(
        DatasetSnapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reward_run = models.ForeignKey(
        TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    policy_run = models.ForeignKey(
        TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    evaluation = models.ForeignKey(
        Evaluation, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    labels_are_enough = models.BooleanField(default=False)  # a person said so
    verdict = models.JSONField(
        default=dict
    )  # is_better, sentence, promoted, held_back, alarms, people
    error = models.TextField(blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    moved_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="a_round_is_numbered_once"),
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(state__in=["running", "paused", "failed"]),
                name="a_project_has_one_round_under_way",
            ),
        ]

    def __str__(self) -> str:
        return f"Round {self.number}"

    @property
    def is_over(self) -> bool:
        return self.state in {self.State.DONE, self.State.CANCELLED}
