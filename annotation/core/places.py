"""The place of a job in line, as a field of the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.core.jobs import Job, JobModel, queue_of, queue_places


@extend_schema_field(serializers.IntegerField(allow_null=True))
class QueuePlaceField(serializers.Field[JobModel, Any, int | None, Any]):  # Any: read alone
    """1: taken next, of all jobs that wait for the same worker; None where it does not wait."""

    def __init__(self) -> None:
        super().__init__(
            source="*",
            read_only=True,
            help_text="1: taken next, of all jobs that wait for the same worker.",
        )
        self._line: dict[tuple[Job, int], int] | None = None  # read once for a list

    def to_representation(self, job: JobModel) -> int | None:
        if job.status != JobModel.Status.QUEUED:
            return None
        if self._line is None:
            self._line = queue_places(queue_of(job.job))
        return self._line.get((job.job, job.pk))
