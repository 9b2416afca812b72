"""What models are worth, over HTTP."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import sent_fields
from annotation.evaluations import services
from annotation.evaluations.models import Evaluation
from annotation.evaluations.selectors import card_in, evaluation_in, evaluations_of
from annotation.evaluations.serializers import (
    AskedAgainSerializer,
    EvaluationSerializer,
    ModelCardSerializer,
    NewEvaluationSerializer,
)
from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.registry.selectors import model_for
from annotation.runs.selectors import model_in


class ModelCardDetail(APIView):
    """The facts of a model's card."""

    @extend_schema(responses=ModelCardSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
        return Response(ModelCardSerializer(card_in(model_for(project, pk))).data)


class ModelCardAsking(APIView):
    """Ask people again where a reward model disagrees with them."""

    @extend_schema(request=None, responses={201: AskedAgainSerializer})
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Open a batch of the comparisons that it orders against people; each gets one further judgment."""
        project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
        card = card_in(model_for(project, pk))
        batch = services.ask_where_it_disagrees(card=card, actor=person(request))
        told = {"batch": batch.pk, "comparisons": batch.comparisons.count()}
        return Response(AskedAgainSerializer(told).data, status=201)


class EvaluationList(ListAPIView[Evaluation]):
    """The evaluations of a project, newest first."""

    queryset = Evaluation.objects.none()
    serializer_class = EvaluationSerializer

    def get_queryset(self) -> QuerySet[Evaluation]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ENGINEER)
        return evaluations_of(project)

    @extend_schema(request=NewEvaluationSerializer, responses={201: EvaluationSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Compare two policies: both answer, people vote blind, a reward model scores."""
        project = project_for(request.user, project_id, Role.ENGINEER)
        asked = sent_fields(NewEvaluationSerializer, request)
        reward = asked["reward_model"]
        row = services.start_evaluation(
            project=project,
            policy=model_in(project, asked["policy"], field="policy"),
            baseline=model_in(project, asked["baseline"], field="baseline"),
            reward_model=reward and model_in(project, reward, field="reward_model"),
            prompts=asked["prompts"],
            temperature=asked["temperature"],
            max_tokens=asked["max_tokens"],
            is_judged=asked["is_judged"],
            actor=person(request),
        )
        return Response(EvaluationSerializer(row).data, status=201)


class EvaluationDetail(APIView):
    """One evaluation with its numbers so far."""

    @extend_schema(responses=EvaluationSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ENGINEER)
        return Response(EvaluationSerializer(evaluation_in(project, pk)).data)


class EvaluationStop(APIView):
    """End an evaluation now."""

    @extend_schema(request=None, responses=EvaluationSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ENGINEER)
        services.stop_evaluation(row=evaluation_in(project, pk), actor=person(request))
        return Response(EvaluationSerializer(evaluation_in(project, pk)).data)
