"""The tenant: a project, its members, its guideline and its rubric."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Role(models.TextChoices):
    """What a member may do. An admin does not label; an engineer trains."""

    LABELER = "labeler"
    ADMIN = "admin"
    ENGINEER = "engineer"


class Project(models.Model):
    """Everything else hangs on a project."""

    class RationaleRule(models.TextChoices):
        NEVER = "never"
        OPTIONAL = "optional"
        STRONG = "strong"  # asked for where the strength is 3
        ALWAYS = "always"

    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, default="")
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    lease_seconds = models.PositiveIntegerField(
        default=900, validators=[MinValueValidator(30), MaxValueValidator(86_400)]
    )
    min_reading_seconds = models.PositiveSmallIntegerField(default=2)
    rationale_rule = models.CharField(
        max_length=10, choices=RationaleRule, default=RationaleRule.OPTIONAL
    )
    agreement_target = models.FloatField(default=0.7)
    is_paused = models.BooleanField(default=False)
    is_archived = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)


class Membership(models.Model):
    """One role of one user in one project; a user may hold several."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user", "role"], name="a_member_holds_a_role_once"
            )
        ]


class Guideline(models.Model):
    """One version of the labeling guideline, in Markdown; judgments point at the version they followed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    text = models.TextField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "version"], name="a_guideline_version_is_published_once"
            )
        ]


class Criterion(models.Model):
    """One aspect of the rubric (helpful, honest, ...), with the question put to the labeler."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="criteria")
    name = models.SlugField(max_length=40)
    question = models.CharField(max_length=300)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="a_criterion_is_named_once")
        ]


class Invitation(models.Model):
    """A link that makes whoever opens it a member, once; only the hash of its token is kept."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role)
    note = models.CharField(max_length=120, blank=True, default="")  # whom it is for
    token_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
