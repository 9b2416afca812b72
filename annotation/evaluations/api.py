"""What models are worth, over HTTP."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.evaluations.selectors import card_in
from annotation.evaluations.serializers import ModelCardSerializer
from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.registry.selectors import model_for


class ModelCardDetail(APIView):
    """The facts of a model's card."""

    @extend_schema(responses=ModelCardSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ENGINEER, Role.ADMIN)
        return Response(ModelCardSerializer(card_in(model_for(project, pk))).data)
