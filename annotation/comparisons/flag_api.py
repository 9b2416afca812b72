"""API of flags: what labelers told the admins, its end with an answer, and opening it again."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.comparisons import selectors
from annotation.comparisons import serializers as shapes
from annotation.comparisons.models import Flag
from annotation.comparisons.services import flagging
from annotation.core.api import sent_fields
from annotation.core.errors import InvalidInput
from annotation.projects.models import Role
from annotation.projects.selectors import project_for

STATE = OpenApiParameter("state", str, enum=selectors.FLAG_STATES, description="Only these.")


class FlagList(generics.ListAPIView[Flag]):
    """What labelers flagged, newest first."""

    serializer_class = shapes.FlagSerializer
    queryset = Flag.objects.none()
    filter_names = ("state",)

    def get_queryset(self) -> QuerySet[Flag]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        state = self.request.query_params.get("state", "")
        if state not in {"", *selectors.FLAG_STATES}:
            known = ", ".join(selectors.FLAG_STATES)
            raise InvalidInput.at("state", f"{state!r} is not one of {known}.")
        return selectors.flags_in(project, state=state)

    @extend_schema(parameters=[STATE])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's own
        return super().get(request, *args, **kwargs)


class FlagResolve(APIView):
    """The end of a flag."""

    @extend_schema(request=shapes.FlagAnswerSerializer, responses=shapes.FlagSerializer)
    def post(self, request: Request, project_id: int, flag_id: int) -> Response:
        """Say that a flag was dealt with; its labeler reads the answer."""
        project = project_for(request.user, project_id, Role.ADMIN)
        flag = selectors.flag_of(project=project, pk=flag_id)
        answer = sent_fields(shapes.FlagAnswerSerializer, request)
        flag = flagging.resolve_flag(flag=flag, actor=person(request), **answer)
        return Response(shapes.FlagSerializer(flag).data)


class FlagReopen(APIView):
    """The end of a flag, taken back."""

    @extend_schema(request=None, responses=shapes.FlagSerializer)
    def post(self, request: Request, project_id: int, flag_id: int) -> Response:
        """Open a resolved flag again; its answer is taken back."""
        project = project_for(request.user, project_id, Role.ADMIN)
        flag = selectors.flag_of(project=project, pk=flag_id)
        flag = flagging.reopen_flag(flag=flag, actor=person(request))
        return Response(shapes.FlagSerializer(flag).data)
