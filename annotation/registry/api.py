"""API of the model registry."""

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import sent_fields
from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.registry import scoring, services
from annotation.registry.models import ModelVersion, ScoringRequest
from annotation.registry.selectors import model_for, models_of
from annotation.registry.serializers import (
    ModelVersionSerializer,
    RollbackSerializer,
    ScoreRequestSerializer,
    ScoringSerializer,
    StageSerializer,
)


class ModelList(generics.ListAPIView[ModelVersion]):
    """The project's models, newest first."""

    serializer_class = ModelVersionSerializer
    queryset = ModelVersion.objects.none()

    def get_queryset(self) -> QuerySet[ModelVersion]:
        user, project_id = person(self.request), self.kwargs["project_id"]
        return models_of(project_for(user, project_id, Role.ENGINEER, Role.ADMIN))

    @extend_schema(request=ModelVersionSerializer, responses={201: ModelVersionSerializer})
    def post(self, request: Request, project_id: int, *_args: Any) -> Response:  # Any: DRF's
        """Register a folder, a hub name or a server as a model."""
        project = project_for(person(request), project_id, Role.ENGINEER, Role.ADMIN)
        sent = sent_fields(ModelVersionSerializer, request)
        version = services.add_model(project=project, actor=person(request), **sent)
        return Response(ModelVersionSerializer(version).data, status=status.HTTP_201_CREATED)


class ModelDetail(APIView):
    """One model."""

    @extend_schema(responses=ModelVersionSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(person(request), project_id, Role.ENGINEER, Role.ADMIN)
        return Response(ModelVersionSerializer(model_for(project, pk)).data)


class ModelStage(APIView):
    """Promote or retire a model."""

    @extend_schema(request=StageSerializer, responses=ModelVersionSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Move the model to a stage; the one that served its kind retires where this one serves."""
        project = project_for(person(request), project_id, Role.ENGINEER)
        sent = sent_fields(StageSerializer, request)
        version = services.promote(
            version=model_for(project, pk),
            stage=sent["stage"],
            actor=person(request),
        )
        return Response(ModelVersionSerializer(version).data)


class ModelRollback(APIView):
    """Go back to the model that served before."""

    @extend_schema(request=RollbackSerializer, responses=ModelVersionSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        """Let the model of this kind serve again that served before the present one."""
        project = project_for(person(request), project_id, Role.ENGINEER)
        sent = sent_fields(RollbackSerializer, request)
        version = services.rollback(project=project, actor=person(request), **sent)
        return Response(ModelVersionSerializer(version).data)


class ModelScore(APIView):
    """Rewards of chats, by a reward model."""

    @extend_schema(
        request=ScoreRequestSerializer, responses={200: ScoringSerializer, 202: ScoringSerializer}
    )
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Score chats: 200 with the scores, or 202 with the request to look for, where they take longer."""
        project = project_for(person(request), project_id, *scoring.SCORERS)
        return _scored(request, model_for(project, pk))


class ModelScoring(APIView):
    """A request for scores that was not answered at once."""

    @extend_schema(responses=ScoringSerializer)
    def get(self, request: Request, project_id: int, pk: int, request_id: int) -> Response:
        """How it stands; its scores once it is done. Kept for a day."""
        project = project_for(person(request), project_id, *scoring.SCORERS)
        row = scoring.request_for(model_for(project, pk), request_id)
        return Response(ScoringSerializer(scoring.await_scores(row, seconds=0)).data)


class AnyModelScore(APIView):
    """The same without the project in the address."""

    @extend_schema(
        request=ScoreRequestSerializer, responses={200: ScoringSerializer, 202: ScoringSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Score chats: 200 with the scores, or 202 with the request to look for, where they take longer."""
        return _scored(request, scoring.reward_model_for(person(request), pk))


def _scored(request: Request, version: ModelVersion) -> Response:
    sent = sent_fields(ScoreRequestSerializer, request)
    row = scoring.request_scores(version=version, chats=sent["chats"], actor=person(request))
    row = scoring.await_scores(row, seconds=sent["wait"])
    body = ScoringSerializer(row).data
    if row.status == ScoringRequest.Status.DONE:
        return Response(body)
    place = reverse("api-model-scoring", args=[version.project_id, version.pk, row.pk])
    return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": place})
