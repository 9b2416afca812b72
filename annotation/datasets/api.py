"""API of snapshots: request, look, compare, download."""

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import asked_fields, sent_fields
from annotation.datasets import serializers as shapes
from annotation.datasets.downloads import changes_download, download
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.selectors import preview_of, snapshot_for, snapshots_of
from annotation.datasets.services import comparing, exporting, requesting
from annotation.datasets.services.comparing import Change
from annotation.datasets.services.exporting import FileFormat, Form
from annotation.projects.models import Role
from annotation.projects.selectors import project_for

READERS = (Role.ENGINEER, Role.ADMIN)


class SnapshotList(generics.ListAPIView[DatasetSnapshot]):
    """The snapshots of a project, newest first."""

    serializer_class = shapes.SnapshotSerializer
    queryset = DatasetSnapshot.objects.none()

    def get_queryset(self) -> QuerySet[DatasetSnapshot]:
        return snapshots_of(project_for(self.request.user, self.kwargs["project_id"], *READERS))

    @extend_schema(request=shapes.NewSnapshotSerializer, responses={201: shapes.SnapshotSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Request a snapshot; a worker builds it."""
        project = project_for(request.user, project_id, Role.ENGINEER)
        fields = sent_fields(shapes.NewSnapshotSerializer, request)
        snapshot = requesting.request_snapshot(
            project=project,
            name=fields["name"],
            query=fields.get("query", {}),
            actor=person(request),
        )
        return Response(shapes.SnapshotSerializer(snapshot).data, status=status.HTTP_201_CREATED)


class SnapshotPreview(APIView):
    """Count what a query would take in, without building it."""

    @extend_schema(request=shapes.QuerySerializer, responses=shapes.PreviewSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        fields = sent_fields(shapes.QuerySerializer, request)
        query = requesting.checked_query(project, fields)
        return Response(shapes.PreviewSerializer(preview_of(project, query)).data)


class SnapshotDetail(APIView):
    """One snapshot with its manifest."""

    @extend_schema(responses=shapes.SnapshotSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        return Response(shapes.SnapshotSerializer(snapshot_for(project, pk)).data)


class SnapshotCancel(APIView):
    """Stop a snapshot that is not finished."""

    @extend_schema(request=None, responses=shapes.SnapshotSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ENGINEER)
        snapshot = snapshot_for(project, pk)
        requesting.cancel_snapshot(snapshot=snapshot, actor=person(request))
        return Response(shapes.SnapshotSerializer(snapshot).data)


class SnapshotDifference(APIView):
    """What changed since another snapshot of the project."""

    @extend_schema(parameters=[shapes.AgainstSerializer], responses=shapes.DifferenceSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        asked = asked_fields(shapes.AgainstSerializer, request)
        against = snapshot_for(project, asked["against"])
        found = comparing.difference(snapshot=snapshot_for(project, pk), against=against)
        return Response(shapes.DifferenceSerializer(found).data)


class SnapshotChanges(APIView):
    """The pairs that changed in one way since another snapshot, by prompt, a page at a time."""

    @extend_schema(parameters=[shapes.ChangesSerializer], responses=shapes.ChangedPairsSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        asked = asked_fields(shapes.ChangesSerializer, request)
        change, size = Change(asked["change"]), asked["page_size"]
        found = comparing.compared(
            snapshot=snapshot_for(project, pk),
            against=snapshot_for(project, asked["against"]),
            start=(asked["page"] - 1) * size,
            size=size,
        )
        count = found.counts.changed(change)
        told = {
            "count": count,
            "page": asked["page"],
            "pages": -(-count // size),
            "results": comparing.with_comparisons(project, found.pages[change]),
        }
        return Response(shapes.ChangedPairsSerializer(told).data)


class SnapshotChangesTable(APIView):
    """All pairs that changed in one way since another snapshot, as CSV; the answer streams."""

    @extend_schema(
        parameters=[shapes.ChangeSerializer],
        responses={(200, "text/csv"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, project_id: int, pk: int) -> StreamingHttpResponse:
        project = project_for(request.user, project_id, *READERS)
        asked = asked_fields(shapes.ChangeSerializer, request)
        snapshot, against = snapshot_for(project, pk), snapshot_for(project, asked["against"])
        change = Change(asked["change"])
        return changes_download(project, snapshot=snapshot, against=against, change=change)


class SnapshotExport(APIView):
    """Download the records in a shape that trainers read; the answer streams."""

    @extend_schema(
        parameters=[shapes.ExportQuerySerializer],
        responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, project_id: int, pk: int) -> StreamingHttpResponse:
        project = project_for(request.user, project_id, *READERS)
        asked = asked_fields(shapes.ExportQuerySerializer, request)
        snapshot = snapshot_for(project, pk)
        export = exporting.export_of(snapshot, form=Form(asked["form"]), split=asked["split"])
        return download(export, FileFormat(asked["file_format"]))


class JudgmentExport(APIView):
    """Download every judgment that stands, without a snapshot: votes, rankings, a label table, Label Studio tasks; or
    every signal.
    """

    @extend_schema(
        parameters=[shapes.JudgmentExportSerializer],
        responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, project_id: int) -> StreamingHttpResponse:
        project = project_for(request.user, project_id, *READERS)
        asked = asked_fields(shapes.JudgmentExportSerializer, request)
        export = exporting.judgments_export(project, form=Form(asked["form"]))
        return download(export, FileFormat(asked["file_format"]))
