"""Agreement is computed on a cpu worker. A burst of rings computes once: the second finds nothing new."""

from celery import shared_task

from annotation.core.jobs import Job
from annotation.projects.models import Project
from annotation.quality import rules, services

ROUNDS = 3


@shared_task(name=Job.REFRESH_AGREEMENT.value)
def refresh_agreement(project_id: int) -> None:
    """Bring the agreement report of a project up to date."""
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        return
    rules.enforce(project=project)  # gold answers are in no report, so they are looked at first
    for _ in range(ROUNDS):  # what was committed while the figures were computed rang in vain
        if services.refresh_agreement(project=project) is None:
            return
