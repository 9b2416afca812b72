"""API of prompts and imports."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import sent_fields
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.prompts import serializers as shapes
from annotation.prompts.models import Prompt, PromptImport, RejectedRow
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.selectors import (
    import_of,
    imports_of,
    prompt_of,
    prompts_of,
    rejected_of,
)
from annotation.prompts.services import previewing, requesting

READERS = (Role.ADMIN, Role.ENGINEER)


class PromptList(generics.ListAPIView[Prompt]):
    """The prompts of a project; `search` looks into the turns."""

    serializer_class = shapes.PromptSerializer
    queryset = Prompt.objects.none()
    filter_names = ("search", "source")

    def get_queryset(self) -> QuerySet[Prompt]:
        project = project_for(self.request.user, self.kwargs["project_id"], *READERS)
        asked = {key: self.request.GET.get(key, "")[:200] for key in self.filter_names}
        return prompts_of(project, **{key: text.replace("\0", "") for key, text in asked.items()})

    @extend_schema(parameters=[OpenApiParameter("search", str), OpenApiParameter("source", str)])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's own
        return super().get(request, *args, **kwargs)


class PromptDetail(APIView):
    """One prompt."""

    @extend_schema(responses=shapes.PromptSerializer)
    def get(self, request: Request, project_id: int, prompt_id: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        return Response(shapes.PromptSerializer(prompt_of(project, prompt_id)).data)


class ImportList(generics.ListAPIView[PromptImport]):
    """Imports of prompts and of judgments."""

    serializer_class = shapes.ImportSerializer
    queryset = PromptImport.objects.none()

    def get_queryset(self) -> QuerySet[PromptImport]:
        return imports_of(project_for(self.request.user, self.kwargs["project_id"], *READERS))

    @extend_schema(request=shapes.UploadSerializer, responses={202: shapes.ImportSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Ask for an import; follow it at the id that comes back."""
        project = project_for(request.user, project_id, Role.ADMIN)
        upload = sent_fields(shapes.UploadSerializer, request)
        row = start_import(project, request, upload)
        return Response(shapes.ImportSerializer(row).data, status=status.HTTP_202_ACCEPTED)


def start_import(project: Project, request: Request, sent: dict[str, Any]) -> PromptImport:
    """Hand the file, or the rows, to the service."""  # Any: of several types
    actor, contents = person(request), PromptImport.Contents(sent["contents"])
    if "rows" in sent:
        return requesting.request_rows(
            project=project, rows=sent["rows"], actor=actor, contents=contents
        )
    return requesting.request_import(
        project=project,
        chunks=sent["file"].chunks(),
        filename=sent["file"].name,
        actor=actor,
        contents=contents,
        row_form=RowForm(sent["row_form"]),
        named_format=sent.get("file_format", ""),
    )


class ImportPreview(APIView):
    """What an import would make of a file."""

    @extend_schema(request=shapes.UploadSerializer, responses=shapes.FilePreviewSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        """Read the first rows and store nothing: how they are understood, what would be rejected and why."""
        project_for(request.user, project_id, Role.ADMIN)
        sent = sent_fields(shapes.UploadSerializer, request)
        is_file = "file" in sent
        found = previewing.preview_file(
            chunks=sent["file"].chunks() if is_file else requesting.lines_of(sent["rows"]),
            filename=sent["file"].name if is_file else "rows.jsonl",
            contents=PromptImport.Contents(sent["contents"]),
            row_form=RowForm(sent["row_form"]),
            named_format=sent.get("file_format", ""),
        )
        return Response(shapes.FilePreviewSerializer(found).data)


class ImportDetail(APIView):
    """One import: its state and its counts."""

    @extend_schema(responses=shapes.ImportSerializer)
    def get(self, request: Request, project_id: int, import_id: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        return Response(shapes.ImportSerializer(import_of(project, import_id)).data)


class ImportCancel(APIView):
    """Stop an import; rows taken so far stay."""

    @extend_schema(request=None, responses=shapes.ImportSerializer)
    def post(self, request: Request, project_id: int, import_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        row = requesting.cancel_import(
            prompt_import=import_of(project, import_id), actor=person(request)
        )
        return Response(shapes.ImportSerializer(row).data)


class RejectedList(generics.ListAPIView[RejectedRow]):
    """The rows of an import that were not taken, each with its line and the reason."""

    serializer_class = shapes.RejectedRowSerializer
    queryset = RejectedRow.objects.none()

    def get_queryset(self) -> QuerySet[RejectedRow]:
        project = project_for(self.request.user, self.kwargs["project_id"], *READERS)
        return rejected_of(import_of(project, self.kwargs["import_id"]))
