"""The tenant: a project, its members, its guideline and its rubric."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


class Role(models.TextChoices):
    """What a member may do. An admin does not label; an engineer trains."""

    LABELER = "labeler", _("Labeler")
    ADMIN = "admin", _("Admin")
    ENGINEER = "engineer", _("Engineer")


class Project(models.Model):
    """Everything else hangs on a project."""

    class RationaleRule(models.TextChoices):
        NEVER = "never"
        OPTIONAL = "optional"
        STRONG = "strong"  # asked for at the strongest step of the answer scale
        ALWAYS = "always"

    class AnswerScale(models.TextChoices):
        SEVEN = "seven"  # strengths 1 to 3 on both sides, and a tie
        FIVE = "five"  # strengths 1 and 2
        THREE = "three"  # better, the same, worse
        TWO = "two"  # no tie

    class ServingOrder(models.TextChoices):
        BREADTH_FIRST = "breadth_first"  # each comparison once, before any a second time
        DEPTH_FIRST = "depth_first"  # finish what was begun

    class Pairing(models.TextChoices):
        AUTO = "auto"  # each two of up to four candidates, a ring of more
        ALL_PAIRS = "all_pairs"  # each two
        RING = "ring"  # each with the next, the last with the first
        ONE_RANKING = "one_ranking"  # all together; more than nine in groups

    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, default="")
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    overlap_share = models.FloatField(default=1.0, validators=SHARE)  # drawn for `overlap` labels
    stop_when_agreeing = (
        models.PositiveSmallIntegerField(  # so many equal verdicts end a comparison
            null=True, blank=True, validators=[MinValueValidator(2), MaxValueValidator(50)]
        )
    )  # None: each gets all its labels
    is_early_stop_settled = models.BooleanField(default=True)  # all comparisons follow the setting
    early_stop_held_until = models.DateTimeField(null=True, blank=True)  # by who makes them follow
    pairing = models.CharField(max_length=11, choices=Pairing, default=Pairing.AUTO)
    answer_scale = models.CharField(max_length=5, choices=AnswerScale, default=AnswerScale.SEVEN)
    serving_order = models.CharField(
        max_length=13, choices=ServingOrder, default=ServingOrder.BREADTH_FIRST
    )
    gold_share = models.FloatField(default=0.0, validators=SHARE)  # of what a labeler gets
    repeat_share = models.FloatField(default=0.0, validators=SHARE)  # sides swapped
    must_qualify = models.BooleanField(default=False)
    deadline = models.DateTimeField(null=True, blank=True)
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
    languages = ArrayField(models.CharField(max_length=12), default=list, blank=True)  # empty: any
    qualified_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)  # gets no work
    pause_reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user", "role"], name="a_member_holds_a_role_once"
            )
        ]


class FormerLabeler(models.Model):
    """What a labeler had as they lost the role: they take it up again with it, a pause too."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    languages = ArrayField(models.CharField(max_length=12), default=list, blank=True)
    qualified_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user"], name="a_former_labeler_is_kept_once"
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
    name = models.SlugField(max_length=40)  # what judgments, snapshots and exports refer to
    title = models.CharField(max_length=40, blank=True, default="")  # what people read instead
    question = models.CharField(max_length=300)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="a_criterion_is_named_once")
        ]

    @property
    def label(self) -> str:
        """What an admin reads of it."""
        return self.title or self.name


class Invitation(models.Model):
    """A link that makes whoever opens it a member, once; only the hash of its token is kept."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role)
    note = models.CharField(max_length=120, blank=True, default="")  # whom it is for
    email = models.EmailField(blank=True, default="")  # where it was sent; empty: by hand
    languages = ArrayField(models.CharField(max_length=12), default=list, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)  # of the newest mail
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
