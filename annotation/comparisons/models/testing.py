"""What tests labelers: comparisons whose answer is known, and the entry exam made of them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.comparisons.models.labeling import Comparison
from annotation.projects.models import Project


class GoldItem(models.Model):
    """What makes a comparison gold, beside its ``known_ranking``: where the answer comes from, and why it is right."""

    class Origin(models.TextChoices):
        HAND = "hand", "By hand"
        ADJUDICATED = "adjudicated", "Adjudicated"
        IMPORTED = "imported", "Imported"

    comparison = models.OneToOneField(
        Comparison, primary_key=True, on_delete=models.CASCADE, related_name="gold"
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gold_items")
    origin = models.CharField(max_length=11, choices=Origin, default=Origin.HAND)
    note = models.CharField(max_length=1000, blank=True, default="")  # shown in training
    kind_before = models.CharField(max_length=10, choices=Comparison.Kind)
    state_before = models.CharField(max_length=10, choices=Comparison.State)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True, blank=True)
    retire_reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["project", "-comparison"], name="gold_by_project")]


class Exam(models.Model):
    """How a project's entry exam decides: the two kinds of labeler it tells apart, and how often it may err."""

    project = models.OneToOneField(
        Project, primary_key=True, on_delete=models.CASCADE, related_name="exam"
    )
    poor = models.FloatField(default=0.6)  # accuracy that shall fail: p0
    good = models.FloatField(default=0.9)  # accuracy that shall pass: p1
    false_pass = models.FloatField(default=0.05)
    false_fail = models.FloatField(default=0.05)
    attempts_max = models.PositiveSmallIntegerField(default=3)
    retake_after_hours = models.PositiveSmallIntegerField(default=24)


class ExamAttempt(models.Model):
    """One labeler's run through the exam; its answers are the training judgments given while it was open."""

    class State(models.TextChoices):
        OPEN = "open"
        PASSED = "passed"
        FAILED = "failed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exam_attempts")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exam_attempts"
    )
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=6, choices=State, default=State.OPEN)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "labeler", "number"], name="an_attempt_has_its_number_once"
            ),
            models.UniqueConstraint(
                fields=["project", "labeler"],
                condition=Q(state="open"),
                name="a_labeler_takes_one_exam_at_a_time",
            ),
        ]
