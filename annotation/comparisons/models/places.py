"""Where each labeler stands and how they like to work, and when agreement was last asked for."""

from django.conf import settings
from django.db import models

from annotation.projects.models import Project


class LabelerSettings(models.Model):
    """How one labeler likes to work, in every project."""

    labeler = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="labeler_settings",
    )
    keys = models.JSONField(default=dict)  # action -> key, from a closed list
    break_after_minutes = models.PositiveSmallIntegerField(default=50)  # 0: no reminder
    is_upsetting_blurred = models.BooleanField(default=True)


class QueuePosition(models.Model):
    """Where one labeler stands in a project's queue, so that no cost grows with what they did: search and progress."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    priority = models.SmallIntegerField(default=32767)
    slots_taken = models.PositiveSmallIntegerField(default=0)
    comparison_id = models.BigIntegerField(default=0)  # a place in the order, not a reference
    searched_at = models.DateTimeField(null=True)  # the whole queue was searched in vain
    answered_at = models.DateTimeField(null=True)  # the last judgment or skip, or text saved
    judged_today = models.PositiveIntegerField(default=0)  # on the day of `answered_at`
    remaining = models.PositiveIntegerField(default=0)  # as counted last, less what was done since
    counted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "labeler"], name="a_labeler_has_one_place_in_a_queue"
            )
        ]


class TimeAtWork(models.Model):
    """Time in use that no judgment holds, of what a labeler skipped or wrote, summed by the quarter of an hour.

    So every zone has its own days, and what is undone or written on keeps its time where it was.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    quarter = models.DateTimeField()  # its begin
    active_ms = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "labeler", "quarter"], name="a_quarter_of_an_hour_is_summed_once"
            )
        ]


class AgreementBell(models.Model):
    """When the refresh of a project's agreement was last rung: a burst of judgments rings once."""

    project = models.OneToOneField(
        Project, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    rung_at = models.DateTimeField()
