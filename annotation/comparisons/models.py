"""What labelers compare: comparisons, the leases on them, and the judgments that come back.

An answer names candidates, never places (docs/adr/0013): ``ranking`` is a list of tiers of candidate ids, best first;
``strengths`` has one number (1 slightly, 2 better, 3 much better) between each two tiers that follow each other.
"""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from annotation.generation.models import Candidate
from annotation.projects.models import Guideline, Project
from annotation.prompts.models import Prompt


class Comparison(models.Model):
    """An unordered set of 2 to 9 candidates for one prompt, owning ``overlap`` slots for judgments."""

    class Kind(models.TextChoices):
        NORMAL = "normal"
        OVERLAP = "overlap"  # drawn at random for agreement
        GOLD = "gold"

    class State(models.TextChoices):
        OPEN = "open"
        JUDGED = "judged"  # all slots are filled
        CLOSED = "closed"  # withdrawn by an admin

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="comparisons")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="comparisons")
    candidates: "models.ManyToManyField[Candidate, models.Model]" = models.ManyToManyField(
        Candidate, related_name="comparisons"
    )
    candidate_ids = ArrayField(
        models.BigIntegerField()
    )  # sorted; the set, for constraint and speed
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.NORMAL)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    priority = models.SmallIntegerField(default=0)  # higher is served sooner
    overlap = models.PositiveSmallIntegerField(default=1)
    slots_taken = models.PositiveSmallIntegerField(default=0)  # live leases and counted judgments
    judgments_counted = models.PositiveSmallIntegerField(default=0)
    known_ranking = models.JSONField(null=True, blank=True)  # gold only
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "candidate_ids"], name="a_set_of_candidates_is_compared_once"
            ),
            models.CheckConstraint(
                condition=Q(slots_taken__lte=F("overlap")),
                name="a_comparison_is_never_over_filled",
            ),
        ]
        indexes = [
            # The queue: what may still be leased, in the order in which it is served.
            models.Index(
                F("project"),
                F("priority").desc(),
                F("slots_taken"),
                F("id"),
                condition=Q(state="open", slots_taken__lt=F("overlap")),
                name="comparisons_to_serve",
            ),
            models.Index(fields=["project", "-id"], name="comparisons_by_project"),
        ]

    @property
    def in_work(self) -> int:
        """Places held by leases."""
        return self.slots_taken - self.judgments_counted


class Assignment(models.Model):
    """One labeler's lease on a comparison; holds the order shown."""

    class State(models.TextChoices):
        LEASED = "leased"
        SUBMITTED = "submitted"
        SKIPPED = "skipped"
        EXPIRED = "expired"

    class SkipReason(models.TextChoices):
        UNCLEAR = "unclear_prompt", "Unclear prompt"
        EXPERT = "needs_expert", "Needs an expert"
        LANGUAGE = "language", "Not my language"
        UPSETTING = "upsetting", "Upsetting"
        BROKEN = "broken_rendering", "Broken rendering"
        OTHER = "other", "Other"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments")
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="assignments")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assignments"
    )
    state = models.CharField(max_length=10, choices=State, default=State.LEASED)
    shown_order = ArrayField(models.BigIntegerField())  # candidate ids, first shown first
    leased_at = models.DateTimeField(default=timezone.now)  # start of the newest lease
    lease_until = models.DateTimeField()
    skip_reason = models.CharField(max_length=20, choices=SkipReason, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "labeler"], name="a_labeler_gets_a_comparison_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["project", "lease_until"],
                condition=Q(state="leased"),
                name="leases_by_end",
            ),
            models.Index(
                fields=["labeler", "project"], condition=Q(state="leased"), name="leases_by_labeler"
            ),
        ]

    @property
    def seconds_left(self) -> int:
        """Of the lease, by the server's clock."""
        return max(0, int((self.lease_until - timezone.now()).total_seconds()))


class Judgment(models.Model):
    """One labeler's verdict: a ranking with ties and strengths, or all bad. A skip is not a judgment."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="judgments")
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="judgments")
    assignment = models.OneToOneField(
        Assignment, null=True, blank=True, on_delete=models.SET_NULL, related_name="judgment"
    )
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgments"
    )
    guideline = models.ForeignKey(
        Guideline, null=True, blank=True, on_delete=models.PROTECT, related_name="judgments"
    )
    client_uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    ranking = models.JSONField(default=list)  # [[3], [1, 2]]; empty when all are bad
    strengths = models.JSONField(default=list)  # [2]
    is_all_bad = models.BooleanField(default=False)
    criteria = models.JSONField(default=dict)  # name -> {"ranking", "strengths"}
    rationale = models.TextField(blank=True, default="")
    shown_order = ArrayField(models.BigIntegerField(), default=list)
    active_ms = models.PositiveIntegerField(default=0)  # visible and in use, as the browser says
    elapsed_ms = models.PositiveIntegerField(default=0)  # by the server's clock
    is_counted = models.BooleanField(default=True)  # False: surplus, came after its lease ended
    is_imported = models.BooleanField(default=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True)  # undone
    frozen_at = models.DateTimeField(null=True, blank=True)  # went into a snapshot: no undo
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "labeler"],
                condition=Q(withdrawn_at__isnull=True),
                name="a_labeler_judges_a_comparison_once",
            )
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="judgments_by_project"),
            models.Index(fields=["project", "labeler", "created_at"], name="judgments_by_labeler"),
        ]


class QueuePosition(models.Model):
    """Where one labeler's search of a project's queue stands, so that its cost does not grow with what they did."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    priority = models.SmallIntegerField(default=32767)
    slots_taken = models.PositiveSmallIntegerField(default=0)
    comparison_id = models.BigIntegerField(default=0)  # a place in the order, not a reference
    searched_at = models.DateTimeField(null=True)  # the whole queue was searched in vain

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "labeler"], name="a_labeler_has_one_place_in_a_queue"
            )
        ]


class AgreementBell(models.Model):
    """When the refresh of a project's agreement was last rung: a burst of judgments rings once."""

    project = models.OneToOneField(
        Project, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    rung_at = models.DateTimeField()
