"""Prompts: chats up to the last user turn, and the imports that brought them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from annotation.core.jobs import Job, JobModel
from annotation.projects.models import Project


class PromptImport(JobModel):
    """One uploaded file and what became of its rows."""

    job = Job.IMPORT_PROMPTS

    class Contents(models.TextChoices):
        PROMPTS = "prompts"
        PREFERENCES = "preferences"  # chosen/rejected rows
        JUDGMENTS = "judgments"  # item, labeler, label tables
        COMPARISONS = "comparisons"  # responses that labelers compare here
        SIGNALS = "signals"  # one response, accepted or rejected
        DEMONSTRATIONS = "demonstrations"  # one response that a person wrote

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    contents = models.CharField(max_length=14, choices=Contents, default=Contents.PROMPTS)
    filename = models.CharField(max_length=255)
    file_format = models.CharField(max_length=20)  # jsonl, json, csv, parquet
    row_form = models.CharField(max_length=20, default="auto")  # readers.chats.RowForm
    artifact = models.CharField(max_length=64)  # sha256 of the stored file
    size_bytes = models.BigIntegerField(default=0)
    rows_read = models.PositiveIntegerField(default=0)
    rows_created = models.PositiveIntegerField(default=0)
    rows_duplicate = models.PositiveIntegerField(default=0)
    rows_rejected = models.PositiveIntegerField(default=0)
    unused_columns = ArrayField(models.CharField(max_length=60), default=list, blank=True)


class RejectedRow(models.Model):
    """A row that was not taken, or not whole: its line and the reason, for the person to mend."""

    prompt_import = models.ForeignKey(
        PromptImport, on_delete=models.CASCADE, related_name="rejected_rows"
    )
    line = models.PositiveIntegerField()
    reason = models.CharField(max_length=500)
    excerpt = models.CharField(max_length=300, blank=True, default="")
    is_taken = models.BooleanField(default=False)  # but for what the reason names


class Prompt(models.Model):
    """A chat (system, user, assistant turns) that ends with a user turn."""

    project = models.ForeignKey(  # a_prompt_is_in_a_project_once begins with it
        Project, on_delete=models.CASCADE, related_name="prompts", db_index=False
    )
    prompt_import = models.ForeignKey(
        PromptImport, null=True, blank=True, on_delete=models.SET_NULL, related_name="prompts"
    )
    turns = models.JSONField()  # [{"role", "content"}, ...]
    fingerprint = models.CharField(max_length=64)
    external_id = models.CharField(max_length=200, blank=True, default="")
    category = models.CharField(max_length=100, blank=True, default="")
    tags = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    language = models.CharField(max_length=12, blank=True, default="")
    source = models.CharField(max_length=200, blank=True, default="")
    license = models.CharField(max_length=60, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "fingerprint"], name="a_prompt_is_in_a_project_once"
            ),
            # What is made of a prompt names it with its project, so that it cannot be of another one.
            models.UniqueConstraint(fields=["id", "project"], name="a_prompt_is_of_one_project"),
            models.UniqueConstraint(
                fields=["project", "external_id"],
                condition=~models.Q(external_id=""),
                name="an_external_id_names_one_prompt",
            ),
        ]
