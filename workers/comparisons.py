"""Comparisons are brought in line with a changed setting on a cpu worker."""

from celery import shared_task

from annotation.comparisons.models import OverlapDraw
from annotation.comparisons.services.early_stop import settle_project
from annotation.comparisons.services.overlap import run_draw
from annotation.core.jobs import Job, ring
from annotation.projects.models import Project
from annotation.quality.storing import note_further
from workers.running import running


@shared_task(name=Job.SETTLE_EARLY_STOP.value)
def settle_early_stop(project_id: int) -> None:
    """Let early stop hold for what was judged before it was set, and agreement be told by it."""
    project = Project.objects.filter(pk=project_id).first()
    if project is not None:
        note_further(project)
        settle_project(project=project)
        ring(Job.REFRESH_AGREEMENT, project.pk)


@shared_task(name=Job.DRAW_OVERLAP.value)
def draw_overlap(draw_id: int) -> None:
    """Draw the overlap of many comparisons again."""
    with running(OverlapDraw.objects, draw_id) as job:
        if job is not None:
            run_draw(draw_id=job.pk, progress=job.progress)
