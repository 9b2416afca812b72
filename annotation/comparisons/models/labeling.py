"""What labelers compare: comparisons, the leases on them, and the judgments that come back.

An answer names candidates, never places (docs/adr/0013): ``ranking`` is a list of tiers of candidate ids, best first;
``strengths`` has one number (1 slightly, 2 better, 3 much better) between each two tiers that follow each other.

``db_index=False``: an index or a unique constraint of the table begins with that column, and serves it as well.
"""

import uuid
from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, QuerySet
from django.db.models.functions import MD5
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from annotation.generation.models import Candidate
from annotation.projects.models import Guideline, Project
from annotation.prompts.languages import primary_language_of
from annotation.prompts.models import Prompt


class Batch(models.Model):
    """Comparisons that belong together: one priority, one deadline, one progress."""

    class State(models.TextChoices):
        OPEN = "open"
        PAUSED = "paused"
        CLOSED = "closed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="batches")
    name = models.CharField(max_length=120)
    priority = models.SmallIntegerField(default=0)  # of its comparisons
    deadline = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    made_from = models.JSONField(default=dict)  # the filter that chose its prompts
    # Where its comparisons were, if they were judged and are asked again: [{"pk", "batch", "priority", "free"}]
    asked_again = models.JSONField(default=list)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="a_batch_is_named_once")
        ]


# What is served; the statements of the queue ask for the same.
_FREE = Q(state="open", slots_taken__lt=F("overlap")) & ~Q(kind="gold")


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
        HELD = "held"  # its batch is paused or closed

    # Held by one foreign key of both, a_comparison_is_of_the_prompts_project: one check a row, not two.
    project = models.ForeignKey(
        Project,
        on_delete=models.CASCADE,
        related_name="comparisons",
        db_index=False,
        db_constraint=False,
    )
    prompt = models.ForeignKey(
        Prompt,
        on_delete=models.CASCADE,
        related_name="comparisons",
        db_index=False,
        db_constraint=False,
    )
    # Sorted, candidates of the prompt. A trigger, a_compared_candidate_stays, keeps each while a comparison names it
    # (docs/adr/0028).
    candidate_ids = ArrayField(models.BigIntegerField())
    batch = models.ForeignKey(
        Batch,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="comparisons",
        db_index=False,
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.NORMAL)
    language = models.CharField(max_length=12, blank=True, default="")  # the prompt's
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    priority = models.SmallIntegerField(default=0)  # higher is served sooner
    overlap = models.PositiveSmallIntegerField(default=1)
    slots_taken = models.PositiveSmallIntegerField(default=0)  # live leases and counted judgments
    judgments_counted = models.PositiveSmallIntegerField(default=0)
    known_ranking = models.JSONField(null=True, blank=True)  # gold only
    # When it first got a further place for what was said of it; what people say since is apart from agreement.
    asked_again_at = models.DateTimeField(null=True, blank=True)
    propensity = models.FloatField(null=True, blank=True)  # of the draw that made it; None: no draw
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "candidate_ids"], name="a_set_of_candidates_is_compared_once"
            ),
            # Judgments name it with its project, so that they cannot be of another one.
            models.UniqueConstraint(
                fields=["project", "id"], name="a_comparison_is_of_one_project"
            ),
            models.CheckConstraint(
                condition=Q(slots_taken__lte=F("overlap")),
                name="a_comparison_is_never_over_filled",
            ),
        ]
        indexes = [
            # The queue: what may still be leased, in the two orders in which it is served.
            models.Index(
                F("project"),
                F("priority").desc(),
                F("slots_taken"),
                F("id"),
                condition=_FREE,
                name="comparisons_to_serve",
            ),
            models.Index(
                F("project"),
                F("priority").desc(),
                -F("slots_taken"),
                F("id"),
                condition=_FREE,
                name="comparisons_to_finish",
            ),
            # The same of each language, for labelers who named theirs.
            models.Index(
                F("project"),
                primary_language_of("language"),
                F("priority").desc(),
                F("slots_taken"),
                F("id"),
                condition=_FREE,
                name="to_serve_by_language",
            ),
            models.Index(
                F("project"),
                primary_language_of("language"),
                F("priority").desc(),
                -F("slots_taken"),
                F("id"),
                condition=_FREE,
                name="to_finish_by_language",
            ),
            models.Index(
                fields=["project", "id"],
                condition=Q(kind="gold", state="open"),
                name="gold_to_serve",
            ),
            models.Index(fields=["batch"], condition=Q(state="held"), name="comparisons_held_back"),
            models.Index(
                fields=["batch"], condition=Q(batch__isnull=False), name="comparisons_by_batch"
            ),
        ]

    @property
    def candidates(self) -> QuerySet[Candidate]:
        """What is compared, the oldest first."""
        return Candidate.objects.filter(pk__in=self.candidate_ids).order_by("pk")

    @property
    def in_work(self) -> int:
        """Places held by leases."""
        return self.slots_taken - self.judgments_counted


def seconds_until(moment: datetime) -> int:
    """Whole seconds from now, by the server's clock; none once it is over."""
    return max(0, int((moment - timezone.now()).total_seconds()))


class Assignment(models.Model):
    """One labeler's lease on a comparison; holds the order shown."""

    class State(models.TextChoices):
        LEASED = "leased"
        SUBMITTED = "submitted"
        SKIPPED = "skipped"
        EXPIRED = "expired"

    class SkipReason(models.TextChoices):
        UNCLEAR = "unclear_prompt", _("Unclear prompt")
        EXPERT = "needs_expert", _("Needs an expert")
        LANGUAGE = "language", _("Not my language")
        UPSETTING = "upsetting", _("Upsetting")
        BROKEN = "broken_rendering", _("Broken rendering")
        OTHER = "other", _("Other")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments")
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="assignments", db_index=False
    )
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assignments"
    )
    state = models.CharField(max_length=10, choices=State, default=State.LEASED)
    is_repeat = models.BooleanField(default=False)  # judged before by this labeler; sides swapped
    is_training = models.BooleanField(default=False)  # gold, with feedback after the answer
    takes_place = models.BooleanField(default=True)  # False: gold and repeats fill no place
    shown_order = ArrayField(models.BigIntegerField())  # candidate ids, first shown first
    leased_at = models.DateTimeField(default=timezone.now)  # start of the newest lease
    lease_until = models.DateTimeField()
    skip_reason = models.CharField(max_length=20, choices=SkipReason, blank=True, default="")
    # None unless it is skipped, or was and is open again; then its reason stays too, until it is answered.
    skipped_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "labeler", "is_repeat"],
                name="a_labeler_gets_a_comparison_once",
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
            models.Index(
                fields=["project", "labeler", "-skipped_at"],
                include=["skip_reason", "takes_place"],
                condition=Q(state="skipped"),
                name="skips_by_project",
            ),
        ]

    @property
    def seconds_left(self) -> int:
        """Of the lease, by the server's clock."""
        return seconds_until(self.lease_until)


class Judgment(models.Model):
    """One labeler's verdict: a ranking with ties and strengths, or all bad. A skip is not a judgment."""

    # Held by one foreign key of both, a_judgment_is_of_the_comparisons_project: one check a row, not two.
    project = models.ForeignKey(
        Project,
        on_delete=models.CASCADE,
        related_name="judgments",
        db_index=False,
        db_constraint=False,
    )
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="judgments", db_constraint=False
    )
    assignment = models.OneToOneField(
        Assignment, null=True, blank=True, on_delete=models.SET_NULL, related_name="judgment"
    )
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgments"
    )
    guideline = models.ForeignKey(
        Guideline,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="judgments",
        db_index=False,
    )
    client_uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    ranking = models.JSONField(default=list)  # [[3], [1, 2]]; empty when all are bad
    strengths = models.JSONField(default=list)  # [2]
    is_all_bad = models.BooleanField(default=False)
    criteria = models.JSONField(default=dict)  # name -> {"ranking", "strengths"}
    marks = models.JSONField(default=list)  # [{"candidate", "start", "end", "kind"}] in raw text
    rationale = models.TextField(blank=True, default="")
    is_repeat = models.BooleanField(default=False)  # never counted: it measures the labeler
    shown_order = ArrayField(models.BigIntegerField(), default=list)
    active_ms = models.PositiveIntegerField(default=0)  # visible and in use, as the browser says
    elapsed_ms = models.PositiveIntegerField(default=0)  # by the server's clock
    is_counted = models.BooleanField(default=True)  # False: surplus, came after its lease ended
    is_imported = models.BooleanField(default=False)
    imported_guideline_version = models.PositiveIntegerField(null=True, blank=True)  # of elsewhere
    withdrawn_at = models.DateTimeField(null=True, blank=True)  # undone
    frozen_at = models.DateTimeField(null=True, blank=True)  # went into a snapshot: no undo
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "labeler", "is_repeat"],
                condition=Q(withdrawn_at__isnull=True),
                name="a_labeler_judges_a_comparison_once",
            )
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="judgments_by_project"),
            models.Index(  # an import brings none
                fields=["guideline"],
                condition=Q(guideline__isnull=False),
                name="judgments_by_guideline",
            ),
            models.Index(fields=["project", "labeler", "created_at"], name="judgments_by_labeler"),
        ]


class Requeue(models.Model):
    """One further slot for comparisons that were judged under an older version of the guideline."""

    class Scope(models.TextChoices):
        DISAGREED = "disagreed"  # labelers gave different verdicts
        JUDGED_UNDER = "judged_under"  # all that were judged under one version
        BEFORE = "before"  # judged under earlier versions only

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="requeues")
    guideline = models.ForeignKey(Guideline, on_delete=models.CASCADE, related_name="requeues")
    scope = models.CharField(max_length=12, choices=Scope)
    judged_under = models.ForeignKey(
        Guideline, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    comparison_ids = ArrayField(models.BigIntegerField())  # that got the slot
    places_free = ArrayField(  # that each of them had, for it ended early; empty: none had any
        models.PositiveSmallIntegerField(), default=list
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)


class Signal(models.Model):
    """Somebody accepted or rejected one response, in a product: unpaired, so it ranks nothing; KTO learns from it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="signals")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="signals")
    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="signals")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="signals"
    )
    is_accepted = models.BooleanField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["candidate", "labeler"], name="a_labeler_signals_a_response_once"
            )
        ]
        indexes = [models.Index(fields=["project", "id"], name="signals_by_project")]


class Flag(models.Model):
    """A labeler's note to the admins about a comparison; the judgment goes on as usual."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="flags")
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="flags")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="flags"
    )
    note = models.CharField(max_length=1000)
    answer = models.CharField(max_length=1000, blank=True, default="")  # the labeler reads it
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                F("project"),
                F("comparison"),
                F("labeler"),
                MD5("note"),  # as long as a note may be, it fits no index
                condition=Q(resolved_at__isnull=True),
                name="a_note_is_flagged_once_while_open",
            )
        ]
        indexes = [models.Index(fields=["project", "-id"], name="flags_by_project")]
