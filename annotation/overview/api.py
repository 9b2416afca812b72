"""API of the overview."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.overview.selectors import counts_of, next_steps
from annotation.overview.serializers import OverviewSerializer
from annotation.projects.selectors import project_for, roles_of


class Overview(APIView):
    """What each step of the loop has, and what you should do next."""

    @extend_schema(responses=OverviewSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id)
        counts = counts_of(project)
        steps = next_steps(project, counts, roles_of(request.user, project.pk))
        return Response(OverviewSerializer({"counts": counts, "next_steps": steps}).data)
