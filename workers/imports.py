"""Imports run on a cpu worker."""

from celery import shared_task

from annotation.comparisons.services.importing import run_any_import
from annotation.core.jobs import Job
from annotation.prompts.models import PromptImport
from workers.running import running


@shared_task(name=Job.IMPORT_PROMPTS.value)
def import_prompts(import_id: int) -> None:
    """Take the rows of one stored file."""
    with running(PromptImport.objects, import_id) as job:
        if job is not None:
            run_any_import(import_id=job.pk, progress=job.progress)
