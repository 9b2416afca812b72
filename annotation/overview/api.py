"""API of the overview."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import asked_fields
from annotation.overview.estimate import estimate, plan_of
from annotation.overview.selectors import overview_of
from annotation.overview.serializers import (
    EstimateQuerySerializer,
    EstimateSerializer,
    OverviewSerializer,
)
from annotation.projects.models import Role
from annotation.projects.selectors import project_for, roles_of


class Overview(APIView):
    """What each step of the loop has, and what you should do next."""

    @extend_schema(responses=OverviewSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id)
        seen = overview_of(project, person(request), roles_of(request.user, project.pk))
        return Response(OverviewSerializer(seen).data)


class EstimateView(APIView):
    """What the settings of a project will cost and buy."""

    @extend_schema(parameters=[EstimateQuerySerializer], responses=EstimateSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        """Labels, hours, widths of intervals and the end at the present pace; any choice can be tried out."""
        project = project_for(request.user, project_id, Role.ADMIN)
        plan = plan_of(project).changed(asked_fields(EstimateQuerySerializer, request))
        return Response(EstimateSerializer(estimate(project, plan)).data)
