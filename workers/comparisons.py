"""Comparisons are brought in line with a changed setting on a cpu worker."""

from celery import shared_task

from annotation.comparisons.services.early_stop import settle_project
from annotation.core.jobs import Job
from annotation.projects.models import Project


@shared_task(name=Job.SETTLE_EARLY_STOP.value)
def settle_early_stop(project_id: int) -> None:
    """Let early stop hold for what was judged before it was set."""
    project = Project.objects.filter(pk=project_id).first()
    if project is not None:
        settle_project(project=project)
