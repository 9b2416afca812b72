"""What judgments amount to (columns, reports, resolutions), and what people do about them (rules, disputes)."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_noop

from annotation.comparisons.models import Comparison
from annotation.projects.models import Project


class AgreementReport(models.Model):
    """The computed agreement of a project; one row a project, replaced as judgments come."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="agreement")
    last_judgment_id = models.BigIntegerField(default=0)
    judgments_counted = models.PositiveIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=0)  # of the columns it was computed from
    formulas = models.PositiveIntegerField(default=0)  # that computed it: `figures.FORMULAS`
    data = models.JSONField(default=dict)
    computed_at = models.DateTimeField(auto_now=True)
    seconds = models.FloatField(default=0)  # that computing it took
    rung_for = models.DateTimeField(null=True)  # when the next is computed, where that was put off


class Resolution(models.Model):
    """The one verdict a comparison ends with, and how it was reached. Votes stay beside it."""

    class Method(models.TextChoices):
        MAJORITY = "majority"
        DAWID_SKENE = "dawid_skene"
        ADJUDICATED = "adjudicated"

    comparison = models.OneToOneField(
        Comparison, on_delete=models.CASCADE, related_name="resolution"
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="resolutions")
    method = models.CharField(max_length=12, choices=Method)
    ranking = models.JSONField(default=list)
    is_all_bad = models.BooleanField(default=False)
    confidence = models.FloatField(null=True)
    resolved_at = models.DateTimeField(auto_now=True)


class Adjudication(models.Model):
    """An admin's verdict on a comparison, with its cause. It leads in snapshots; the votes stay beside it."""

    class Cause(models.TextChoices):
        # Labelers read them in their language, the pages of admins are English.
        AMBIGUOUS = "ambiguous", gettext_noop("Ambiguous prompt or responses")
        GUIDELINE_GAP = "guideline_gap", gettext_noop("The guideline does not say")
        LABELER_ERROR = "labeler_error", gettext_noop("A labeler's error")
        SUBJECTIVE = "subjective", gettext_noop("Legitimately subjective")  # no verdict: the votes

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="adjudications")
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="adjudications"
    )
    cause = models.CharField(max_length=13, choices=Cause)
    ranking = models.JSONField(
        default=list
    )  # tiers as in a judgment; empty: all bad, or subjective
    strengths = models.JSONField(default=list)
    is_all_bad = models.BooleanField(default=False)
    note = models.CharField(max_length=1000, blank=True, default="")  # labelers read it
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison"],
                condition=Q(undone_at__isnull=True),
                name="a_comparison_is_adjudicated_once",
            )
        ]
        indexes = [models.Index(fields=["project", "-id"], name="adjudications_by_project")]

    @property
    def has_verdict(self) -> bool:
        """False where the cause is taste: then the votes stay the label."""
        return self.cause != self.Cause.SUBJECTIVE


class Rule(models.Model):
    """One version of one rule. The newest version of a series counts; nothing that a rule drops is deleted."""

    class Kind(models.TextChoices):
        EXCLUDE = "exclude", "Leave out a labeler"
        TOO_FAST = "too_fast", "Leave out fast answers of labelers who are wrong when fast"
        GOLD_MINIMUM = "gold_minimum", "Leave out labelers below an accuracy on gold"
        PAUSE_ON_GOLD = "pause_on_gold", "Pause labelers who fail gold"
        COUNT_MACHINE = "count_machine", "Count a machine judge in resolutions"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rules")
    series = models.PositiveIntegerField()  # the rule; versions follow each other in it
    version = models.PositiveIntegerField(default=1)
    kind = models.CharField(max_length=13, choices=Kind)
    params = models.JSONField(default=dict)
    is_on = models.BooleanField(default=True)
    reason = models.CharField(max_length=300, blank=True, default="")
    labeler = models.ForeignKey(  # of a rule about one labeler
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    found = models.JSONField(
        default=list
    )  # ids of the labelers it concerns now; a worker renews them
    dry_run = models.JSONField(default=dict)  # what it would have done when it was saved
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "series", "version"], name="a_rule_has_each_version_once"
            )
        ]


class LabelerAct(models.Model):
    """What an admin or a rule did about one labeler; the labeler reads it on their own page."""

    class Kind(models.TextChoices):
        MESSAGE = "message"
        PAUSE = "pause"
        RESUME = "resume"
        RETRAIN = "retrain"
        QUALIFY = "qualify"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="labeler_acts")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="labeler_acts"
    )
    kind = models.CharField(max_length=8, choices=Kind)
    text = models.CharField(max_length=1000, blank=True, default="")
    rule = models.ForeignKey(Rule, null=True, blank=True, on_delete=models.SET_NULL)  # that did it
    before = models.JSONField(default=dict)  # of the membership, so that undoing restores it
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["project", "labeler", "-id"], name="acts_by_labeler")]


class Dispute(models.Model):
    """A labeler's appeal against an adjudication, a gold answer, a rule or a pause, and what became of it."""

    class Subject(models.TextChoices):
        ADJUDICATION = "adjudication", "Adjudication"
        GOLD = "gold", "Training answer"
        EXCLUSION = "exclusion", "Judgments left out"
        PAUSE = "pause", "Pause"

    class State(models.TextChoices):
        OPEN = "open"
        UPHELD = "upheld"  # the labeler is right
        DECLINED = "declined"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="disputes")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="disputes"
    )
    subject = models.CharField(max_length=12, choices=Subject)
    subject_id = models.BigIntegerField()  # of the adjudication, comparison, rule or act
    text = models.CharField(max_length=2000)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    answer = models.CharField(max_length=2000, blank=True, default="")
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["labeler", "subject", "subject_id"], name="a_thing_is_appealed_once"
            )
        ]
        indexes = [models.Index(fields=["project", "state", "-id"], name="disputes_by_state")]


class LabelerGroup(models.Model):
    """Labelers under one name, whose judgments can be looked at apart. Removed, it can be taken back."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="labeler_groups")
    name = models.CharField(max_length=60)
    labelers = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"],
                condition=Q(removed_at=None),
                name="a_labeler_group_has_a_name_of_its_own",
            )
        ]


class JudgmentChange(models.Model):
    """A judgment given, edited or deleted that the columns do not know yet; database triggers write it.

    Reading deletes, so a row that commits late is read late and never lost. No foreign keys: the
    judgment may be gone.
    """

    project_id = models.BigIntegerField()
    judgment_id = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["project_id", "id"], name="changes_by_project")]


class ColumnStore(models.Model):
    """The judgments of a project as columns: what the codes in its chunks stand for."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="columns")
    labeler_ids = ArrayField(models.BigIntegerField(), default=list)
    guideline_ids = ArrayField(models.BigIntegerField(), default=list)  # 0: none
    languages = ArrayField(models.CharField(max_length=12), default=list)
    sources = ArrayField(models.CharField(max_length=220), default=list)  # "policy 7", or a name
    version = models.PositiveBigIntegerField(default=0)  # grows with every change
    unresolved_ids = ArrayField(models.BigIntegerField(), default=list)  # comparisons, changed
    is_all_unresolved = models.BooleanField(default=False)  # too many changed to name them


class RowChunk(models.Model):
    """Judged pairs of one criterion, 18 bytes each, field by field (`annotation.quality.stored.ROW`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="row_chunks")
    criterion = models.CharField(max_length=40)
    number = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    first_id = models.BigIntegerField()  # the lowest judgment in it
    last_id = models.BigIntegerField()
    fields = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "criterion", "number"], name="a_row_chunk_is_numbered_once"
            )
        ]


class PairChunk(models.Model):
    """What is known of each pair of a comparison (`annotation.quality.stored.PAIR`), by its code."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="pair_chunks")
    number = models.PositiveIntegerField()
    pairs = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "number"], name="a_pair_chunk_is_numbered_once"
            )
        ]


class SignalReport(models.Model):
    """What all accept and reject signals of a project come to; made anew where signals or judgments came since."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="+")
    newest_id = models.BigIntegerField()  # of the signals
    version = models.PositiveBigIntegerField()  # of the columns that verdicts were read from
    data = models.JSONField()


class LabelerModel(models.Model):
    """What Dawid-Skene last learned of the labelers of a project: it judges items without a new fit."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="labeler_models")
    criterion = models.CharField(max_length=40)
    judgments = models.PositiveIntegerField()  # it was fitted to
    class_shares = ArrayField(models.FloatField())  # first, tie, second
    labeler_ids = ArrayField(models.BigIntegerField())
    confusions = models.BinaryField()  # labelers x true x said, float32
    fitted_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "criterion"], name="a_criterion_has_one_labeler_model"
            )
        ]


class AgreementTally(models.Model):
    """What the figures at the top of the page follow from, moved with every judgment (`annotation.quality.tally`)."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="tally")
    version = models.PositiveBigIntegerField(null=True)  # of the columns; None: count anew
    formulas = models.PositiveIntegerField(default=0)  # that counted it: `figures.FORMULAS`
    counts = models.JSONField(default=dict)
    vectors = models.BinaryField(default=bytes)  # patterns x 8, int32
    items = models.BinaryField(default=bytes)  # that show each pattern, int64
    figures = models.JSONField(default=dict)  # computed from version ``figures_version``
    figures_version = models.PositiveBigIntegerField(null=True)
    figures_at = models.DateTimeField(null=True)


class LabelerTally(models.Model):
    """What one labeler said on pairs of which pattern (`annotation.quality.tally.CELL`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="labeler_tallies")
    labeler_id = models.BigIntegerField()
    cells = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "labeler_id"], name="a_labeler_is_tallied_once"
            )
        ]
