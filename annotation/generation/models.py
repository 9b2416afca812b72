"""Candidates, and the generation runs that sample them from a policy."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from annotation.core.jobs import Job, JobModel
from annotation.projects.models import Project
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion


class RunGroup(models.Model):
    """Runs that were begun together, one a policy: a prompt's responses are compared once all of them answered it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="run_groups")
    paired_at = models.DateTimeField(null=True, blank=True)  # all are over, and what they left too


class GenerationRun(JobModel):
    """A job: sample ``per_prompt`` responses for each prompt that this policy was not yet asked in the same way."""

    job = Job.GENERATE_CANDIDATES

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="generation_runs")
    policy = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="generation_runs"
    )
    per_prompt = models.PositiveSmallIntegerField(
        default=2, validators=[MinValueValidator(1), MaxValueValidator(64)]
    )
    temperature = models.FloatField(default=0.8)
    top_p = models.FloatField(default=1.0)
    max_tokens = models.PositiveIntegerField(default=256)
    seed = models.PositiveBigIntegerField(default=17)
    max_prompts = models.PositiveIntegerField(default=0)  # 0: all
    prompt_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)  # only these
    pair_after = models.BooleanField(default=True)  # make comparisons of the new candidates
    group = models.ForeignKey(
        RunGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )


class SamplingPlan(models.Model):
    """How a project means to sample: what its set-up chose, and the next run's form begins with."""

    project = models.OneToOneField(
        Project, primary_key=True, on_delete=models.CASCADE, related_name="sampling_plan"
    )
    policies = models.ManyToManyField(ModelVersion, related_name="+")
    per_prompt = models.PositiveSmallIntegerField(  # of each policy
        default=2, validators=[MinValueValidator(1), MaxValueValidator(64)]
    )
    temperature = models.FloatField(default=0.8)
    max_tokens = models.PositiveIntegerField(default=256)


class Candidate(models.Model):
    """One response to a prompt, from a named source, eligible for comparison."""

    class Source(models.TextChoices):
        POLICY = "policy"
        IMPORT = "import"
        DEMONSTRATION = "demonstration"

    # Held by one foreign key of both, a_candidate_is_of_the_prompts_project: one check a row, not two.
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="candidates", db_constraint=False
    )
    prompt = models.ForeignKey(  # a_response_is_a_candidate_once begins with it
        Prompt,
        on_delete=models.CASCADE,
        related_name="candidates",
        db_index=False,
        db_constraint=False,
    )
    run = models.ForeignKey(
        GenerationRun,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="candidates",
        db_index=False,
    )
    policy = models.ForeignKey(
        ModelVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="candidates",
        db_index=False,
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    # Who else wrote this text: it was theirs too, or they reviewed it into this form. None of them judges it.
    also_written_by = ArrayField(models.BigIntegerField(), null=True, blank=True)
    source = models.CharField(max_length=15, choices=Source)
    source_name = models.CharField(max_length=200, blank=True, default="")
    sample_index = models.PositiveSmallIntegerField(default=0)
    text = models.TextField()
    fingerprint = models.CharField(max_length=64)
    is_finished = models.BooleanField(default=True)  # ended by itself, not by the token limit
    token_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "fingerprint"], name="a_response_is_a_candidate_once"
            )
        ]
        indexes = [  # not of those without one, as an import brings them by the thousand
            models.Index(fields=["run"], condition=Q(run__isnull=False), name="candidates_by_run"),
            models.Index(
                fields=["policy"], condition=Q(policy__isnull=False), name="candidates_by_policy"
            ),
            models.Index(
                fields=["author"], condition=Q(author__isnull=False), name="candidates_by_author"
            ),
        ]


class PromptOutcome(models.Model):
    """What became of one prompt in one run: how many candidates it brought, or why there are fewer."""

    run = models.ForeignKey(GenerationRun, on_delete=models.CASCADE, related_name="outcomes")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="outcomes")
    candidates = models.PositiveSmallIntegerField(default=0)
    duplicates = models.PositiveSmallIntegerField(default=0)  # said before: dropped
    # What it said, in order, whoever said it first; empty in rows of before this was kept.
    candidate_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    prompt_tokens_cut = models.PositiveIntegerField(default=0)  # longer than the policy reads
    reason = models.CharField(max_length=500, blank=True, default="")  # empty: nothing failed
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "prompt"], name="a_run_has_one_outcome_for_a_prompt"
            )
        ]
        indexes = [models.Index(fields=["run", "-at"], name="outcomes_of_a_run")]


class PlaygroundRun(JobModel):
    """A job: one prompt, answered side by side by a few policies, scored by a reward model."""

    job = Job.ANSWER_PLAYGROUND

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="playground_runs")
    turns = models.JSONField()  # [{"role", "content"}, ...]
    policy_ids = ArrayField(models.BigIntegerField(), size=4)  # in the order shown
    reward_model = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    temperature = models.FloatField(default=0.8)
    top_p = models.FloatField(default=1.0)
    max_tokens = models.PositiveIntegerField(default=256)
    seed = models.PositiveBigIntegerField(default=17)
    answers = models.JSONField(default=dict)  # policy id -> {"text", "is_finished", "reason", ...}
    scores = models.JSONField(default=dict)  # policy id -> reward
    criterion_scores = models.JSONField(default=dict)  # policy id -> {criterion: score}
    scores_reason = models.CharField(max_length=500, blank=True, default="")  # why there are none
