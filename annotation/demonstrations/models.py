"""What people write: openings for demonstrations, the demonstrations that fill them, and every version sent.

An opening is one demonstration that an admin asked for; one person holds it at a time. A demonstration is one person's
work on one opening. An approved edit says by itself that the edit is better than its original: there is no judgment
beside it, so neither agreement nor the labeling queue can count it.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from annotation.generation.models import Candidate
from annotation.projects.models import Guideline, Project
from annotation.prompts.models import Prompt


class Opening(models.Model):
    """A place for one demonstration: a response to a prompt, or an edit of one of its candidates."""

    class State(models.TextChoices):
        OPEN = "open"
        HELD = "held"  # someone writes it, or it waits for review
        DONE = "done"  # its demonstration is approved
        CLOSED = "closed"  # withdrawn by an admin

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="openings")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="openings")
    source = models.ForeignKey(
        Candidate, null=True, blank=True, on_delete=models.CASCADE, related_name="edit_openings"
    )  # what to edit; None: write from nothing
    number = models.PositiveSmallIntegerField(default=1)  # among the openings of one prompt
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    priority = models.SmallIntegerField(default=0)  # higher is served sooner
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                F("prompt"),
                Coalesce(F("source"), Value(0)),
                F("number"),
                name="an_opening_is_numbered_once",
            )
        ]
        indexes = [
            models.Index(
                F("project"),
                F("priority").desc(),
                F("number"),
                F("id"),
                condition=Q(state="open"),
                name="openings_to_serve",
            ),
            models.Index(fields=["project", "state", "-id"], name="openings_by_project"),
        ]

    @property
    def is_edit(self) -> bool:
        return self.source_id is not None


class Demonstration(models.Model):
    """One person's work on an opening: a lease and a draft, then a text under review, then a candidate."""

    class Kind(models.TextChoices):
        WRITTEN = "written"
        EDITED = "edited"

    class State(models.TextChoices):
        DRAFT = "draft"
        SUBMITTED = "submitted"
        RETURNED = "returned"  # with a note; stays with its author
        APPROVED = "approved"
        SKIPPED = "skipped"
        EXPIRED = "expired"  # the lease ended; the text is kept

    class SkipReason(models.TextChoices):
        UNCLEAR = "unclear_prompt", _("Unclear prompt")
        EXPERT = "needs_expert", _("Needs an expert")
        LANGUAGE = "language", _("Not my language")
        UPSETTING = "upsetting", _("Upsetting")
        NOTHING_TO_MEND = "nothing_to_mend", _("Nothing to mend")
        OTHER = "other", _("Other")

    HOLDING = (State.DRAFT, State.SUBMITTED, State.RETURNED, State.APPROVED)

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="demonstrations")
    opening = models.ForeignKey(Opening, on_delete=models.CASCADE, related_name="demonstrations")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="demonstrations")
    source = models.ForeignKey(
        Candidate, null=True, blank=True, on_delete=models.CASCADE, related_name="edits"
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.WRITTEN)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="demonstrations"
    )
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    text = models.TextField(blank=True, default="")  # the author's, as it stands
    guideline = models.ForeignKey(
        Guideline, null=True, blank=True, on_delete=models.PROTECT, related_name="demonstrations"
    )
    leased_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField()
    skip_reason = models.CharField(max_length=20, choices=SkipReason, blank=True, default="")
    active_ms = models.PositiveIntegerField(default=0)  # visible and in use, as the browser says
    submitted_at = models.DateTimeField(null=True, blank=True)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    review_note = models.TextField(blank=True, default="")
    candidate = models.ForeignKey(
        Candidate, null=True, blank=True, on_delete=models.SET_NULL, related_name="demonstrations"
    )  # once approved
    frozen_at = models.DateTimeField(null=True, blank=True)  # went into a snapshot
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["opening", "author"], name="an_opening_is_held_by_an_author_once"
            ),
            models.UniqueConstraint(
                fields=["opening"],
                condition=Q(state__in=("draft", "submitted", "returned", "approved")),
                name="an_opening_has_one_writer",
            ),
            models.UniqueConstraint(
                F("author"),
                F("prompt"),
                Coalesce(F("source"), Value(0)),
                condition=Q(state__in=("draft", "submitted", "returned", "approved")),
                name="a_person_demonstrates_a_prompt_once",
            ),
        ]
        indexes = [
            models.Index(fields=["author", "project", "-id"], name="demonstrations_by_author"),
            models.Index(
                fields=["lease_until"], condition=Q(state="draft"), name="drafts_by_lease_end"
            ),
            models.Index(
                fields=["prompt"], condition=Q(state="approved"), name="approved_by_prompt"
            ),
        ]

    @property
    def seconds_left(self) -> int:
        """Of the lease, by the server's clock."""
        return max(0, int((self.lease_until - timezone.now()).total_seconds()))

    @property
    def is_edit(self) -> bool:
        return self.kind == self.Kind.EDITED

    @property
    def is_with_author(self) -> bool:
        """Whether the author may write on."""
        return self.state in {self.State.DRAFT, self.State.RETURNED, self.State.EXPIRED}


class Version(models.Model):
    """A text as it was sent: by the author for review, or by the reviewer with changes."""

    demonstration = models.ForeignKey(
        Demonstration, on_delete=models.CASCADE, related_name="versions"
    )
    client_uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    text = models.TextField()
    written_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    note = models.TextField(blank=True, default="")  # what its reviewer said of it
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["demonstration", "-id"], name="versions_newest_first")]
