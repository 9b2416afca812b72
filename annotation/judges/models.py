"""Machine judges: labelers that are models (docs/adr/0006), the constitutions they follow, and what they said.

A judge never changes: another model, constitution or way of asking is another judge, with verdicts of its own.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.comparisons.models import Comparison, Judgment
from annotation.core.jobs import Job, JobModel
from annotation.demonstrations.models import Demonstration
from annotation.generation.models import Candidate
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion


class Constitution(models.Model):
    """One version of the principles that machine judges follow; judges point at the version they were given."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="constitutions")
    version = models.PositiveIntegerField()
    principles = models.JSONField()  # [{"title", "text"}, ...]
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "version"], name="a_constitution_version_is_published_once"
            )
        ]

    def __str__(self) -> str:
        return f"Version {self.version}"


class Judge(models.Model):
    """A model under a constitution, asked in one way; its verdicts are judgments of ``labeler``."""

    class Style(models.TextChoices):
        WORD = "word", "One word"
        REASONS = "reasons", "Reasons, then a verdict"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="judges")
    name = models.CharField(max_length=80)
    labeler = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judge"
    )
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="judges")
    constitution = models.ForeignKey(Constitution, on_delete=models.PROTECT, related_name="judges")
    style = models.CharField(max_length=7, choices=Style, default=Style.WORD)
    temperature = models.FloatField(default=0.0)
    repeats = models.PositiveSmallIntegerField(default=1)  # answers in each order
    max_tokens = models.PositiveIntegerField(default=16)
    seed = models.PositiveBigIntegerField(default=17)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="a_judge_is_named_once_in_a_project"
            )
        ]

    def __str__(self) -> str:
        return self.name


class JudgeRun(JobModel):
    """A job: let a judge hear the comparisons that it has not heard yet."""

    job = Job.JUDGE_COMPARISONS

    class Wanted(models.TextChoices):
        JUDGED = "judged", "What people have judged: measures the judge"
        UNJUDGED = "unjudged", "What nobody has judged yet"
        ALL = "all", "Everything"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="judge_runs")
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="runs")
    wanted = models.CharField(max_length=8, choices=Wanted, default=Wanted.JUDGED)
    max_comparisons = models.PositiveIntegerField(default=0)  # 0: all


class Hearing(models.Model):
    """What one judge said of one comparison: every answer, and what they come to together."""

    class Outcome(models.TextChoices):
        JUDGED = "judged", "A verdict"
        SWAYED = "swayed", "Turned with the order"
        UNPARSED = "unparsed", "An answer could not be read"
        CYCLIC = "cyclic", "Went round in a circle"
        FAILED = "failed", "Not answered"

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="hearings")
    run = models.ForeignKey(
        JudgeRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="hearings"
    )
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="hearings")
    outcome = models.CharField(max_length=8, choices=Outcome)
    answers = models.JSONField(default=list)  # [{"first", "second", "repeat", "verdict", "said"}]
    ranking = models.JSONField(default=list)  # tiers of candidate ids; empty without a verdict
    reason = models.CharField(max_length=500, blank=True, default="")  # why it failed
    judgment = models.OneToOneField(
        Judgment, null=True, blank=True, on_delete=models.SET_NULL, related_name="hearing"
    )
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["judge", "comparison"], name="a_judge_hears_a_comparison_once"
            ),
            models.CheckConstraint(
                condition=Q(outcome="judged") | Q(judgment__isnull=True),
                name="only_a_verdict_is_a_judgment",
            ),
        ]
        indexes = [models.Index(fields=["judge", "-id"], name="hearings_of_a_judge")]


class RevisionRun(JobModel):
    """A job: let a judge's model criticize candidates under its constitution, and write them anew."""

    job = Job.REVISE_CANDIDATES

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="revision_runs")
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="revision_runs")
    source = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )  # whose candidates; None: any policy's
    max_candidates = models.PositiveIntegerField(default=0)  # 0: all
    max_tokens = models.PositiveIntegerField(default=256)
    temperature = models.FloatField(default=0.7)
    is_reviewed = models.BooleanField(default=True)  # people approve each before it counts


class Revision(models.Model):
    """One candidate, criticized and written anew; ``demonstration`` is the edit that it became."""

    class Outcome(models.TextChoices):
        REVISED = "revised", "Written anew"
        UNCHANGED = "unchanged", "Left as it was"
        FAILED = "failed", "Not answered"

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="revisions")
    run = models.ForeignKey(
        RevisionRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="revisions"
    )
    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="revisions")
    outcome = models.CharField(max_length=9, choices=Outcome)
    critique = models.TextField(blank=True, default="")
    text = models.TextField(blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    demonstration = models.OneToOneField(
        Demonstration, null=True, blank=True, on_delete=models.SET_NULL, related_name="revision"
    )
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["judge", "candidate"], name="a_judge_revises_a_candidate_once"
            )
        ]
        indexes = [models.Index(fields=["judge", "-id"], name="revisions_of_a_judge")]
