"""Rounds over HTTP: an engineer starts one, watches, pauses, resumes, cancels it."""

from collections.abc import Callable

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import checked
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.rounds import selectors, services
from annotation.rounds.estimates import estimate
from annotation.rounds.models import Round
from annotation.rounds.serializers import (
    NewRoundSerializer,
    RoundEstimateSerializer,
    RoundSerializer,
)
from annotation.runs.selectors import model_in


def project_of(view: APIView) -> Project:
    """The project in the address, for an engineer of it."""
    return project_for(view.request.user, view.kwargs["project_id"], Role.ENGINEER)


def round_of(view: APIView) -> Round:
    """The round in the address, by its number in the project."""
    return selectors.round_in(project_of(view), view.kwargs["number"])


class RoundList(ListAPIView[Round]):
    """The rounds of a project, newest first."""

    queryset = Round.objects.none()
    serializer_class = RoundSerializer

    def get_queryset(self) -> QuerySet[Round]:
        return selectors.rounds_of(project_of(self))

    @extend_schema(request=NewRoundSerializer, responses={201: RoundSerializer})
    def post(self, request: Request, **_address: int) -> Response:
        """Start a round: everything else follows by itself."""
        project, form = project_of(self), checked(NewRoundSerializer, request)
        key, server = form.validated_data["policy"], form.validated_data["sampler"]
        row = services.start_round(
            project=project,
            plan=form.plan(),
            policy=key and model_in(project, key, field="policy"),
            sampler=server and model_in(project, server, field="sampler"),
            actor=person(request),
        )
        return Response(RoundSerializer(row).data, status=201)


class RoundEstimate(APIView):
    """What a round would take."""

    @extend_schema(request=NewRoundSerializer, responses=RoundEstimateSerializer)
    def post(self, request: Request, **_address: int) -> Response:
        """The estimate of a plan; nothing starts."""
        project, form = project_of(self), checked(NewRoundSerializer, request)
        key = form.validated_data["policy"]
        policy = model_in(project, key, field="policy") if key else selectors.start_policy(project)
        found = estimate(project, form.plan(), policy)
        return Response(RoundEstimateSerializer(RoundEstimateSerializer.facts(found)).data)


class RoundDetail(APIView):
    """One round, with where each part stands."""

    @extend_schema(responses=RoundSerializer)
    def get(self, _request: Request, **_address: int) -> Response:
        return Response(RoundSerializer(round_of(self)).data)


class RoundAct(APIView):
    """Something done to a round; answers with the round."""

    act: Callable[..., object]

    @extend_schema(request=None, responses=RoundSerializer)
    def post(self, request: Request, **_address: int) -> Response:
        row = round_of(self)
        type(self).act(row=row, actor=person(request))
        return Response(RoundSerializer(round_of(self)).data)


class RoundPause(RoundAct):
    """Take no further step."""

    act = staticmethod(services.pause_round)


class RoundResume(RoundAct):
    """Go on after a pause or a failure."""

    act = staticmethod(services.resume_round)


class RoundCancel(RoundAct):
    """End the round; what it made stays."""

    act = staticmethod(services.cancel_round)


class RoundLabels(RoundAct):
    """Go on with the labels that are there."""

    act = staticmethod(services.take_labels)


class RoundVotes(RoundAct):
    """End the blind vote with what was said; the round ends with it."""

    act = staticmethod(services.take_votes)


class RoundPromote(RoundAct):
    """Let the policy of a finished round serve."""

    act = staticmethod(services.promote_result)
