"""Snapshots are built on a cpu worker."""

from celery import shared_task

from annotation.core.jobs import Job
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services import building
from workers.running import running


@shared_task(name=Job.BUILD_SNAPSHOT.value)
def build_snapshot(snapshot_id: int) -> None:
    """Build the records of one snapshot."""
    with running(DatasetSnapshot.objects, snapshot_id) as job:
        if job is not None:
            snapshot = DatasetSnapshot.objects.select_related("project").get(pk=job.pk)
            building.build_snapshot(snapshot=snapshot, progress=job.progress)
