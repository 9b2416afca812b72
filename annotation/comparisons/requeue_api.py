"""API of queueing again under a new version of the guideline: counted first, done, taken back while unserved."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.comparisons.models import Requeue
from annotation.comparisons.services import requeue as services
from annotation.core.api import sent_fields
from annotation.projects.models import Guideline, Project, Role
from annotation.projects.selectors import guideline_of, project_for

SHOWN = 200
LARGEST_VERSION = 2**31 - 1


class NewRequeueSerializer(serializers.Serializer[Any]):
    """Which comparisons that have all their labels a version of the guideline asks again."""

    guideline = serializers.IntegerField(
        min_value=1, max_value=LARGEST_VERSION, help_text="The new version."
    )
    scope = serializers.ChoiceField(choices=Requeue.Scope.values)
    judged_under = serializers.IntegerField(
        min_value=1,
        max_value=LARGEST_VERSION,
        required=False,
        help_text="The earlier version, for the scope of that name.",
    )


class RequeueCountSerializer(serializers.Serializer[Any]):
    comparisons = serializers.IntegerField()


class RequeueSerializer(serializers.ModelSerializer[Requeue]):
    """A re-queue: versions of the guideline, and how many comparisons got a further slot."""

    guideline = serializers.IntegerField(source="guideline.version")
    judged_under = serializers.IntegerField(source="judged_under.version", default=None)
    comparisons = serializers.IntegerField()

    class Meta:
        model = Requeue
        fields = (
            "id",
            "guideline",
            "scope",
            "judged_under",
            "comparisons",
            "created_at",
            "undone_at",
        )
        read_only_fields = fields


def _asked(request: Request, project: Project) -> tuple[Guideline, dict[str, Any]]:
    # Any: a word and a row
    """The new version and what it asks again, checked."""
    fields = sent_fields(NewRequeueSerializer, request)
    under = fields.get("judged_under")
    judged_under = None if under is None else guideline_of(project=project, version=under)
    guideline = guideline_of(project=project, version=fields["guideline"])
    return guideline, {"scope": fields["scope"], "judged_under": judged_under}


class RequeueList(APIView):
    """What was queued again."""

    @extend_schema(responses=RequeueSerializer(many=True))
    def get(self, request: Request, project_id: int) -> Response:
        """The newest 200, the newest first."""
        project = project_for(request.user, project_id, Role.ADMIN)
        rows = services.requeues_of(project)[:SHOWN]
        return Response(RequeueSerializer(rows, many=True).data)

    @extend_schema(request=NewRequeueSerializer, responses={201: RequeueSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Give each of these comparisons a further slot, for someone who has not judged it."""
        project = project_for(request.user, project_id, Role.ADMIN)
        guideline, which = _asked(request, project)
        row = services.requeue(guideline=guideline, actor=person(request), **which)
        body = RequeueSerializer(services.requeues_of(project).get(pk=row.pk)).data
        return Response(body, status=status.HTTP_201_CREATED)


class RequeueDryRun(APIView):
    """What would be queued again."""

    @extend_schema(request=NewRequeueSerializer, responses=RequeueCountSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        """How many comparisons would get a further slot; nothing is written."""
        project = project_for(request.user, project_id, Role.ADMIN)
        guideline, which = _asked(request, project)
        count = services.requeued_by(guideline, **which).count()
        return Response(RequeueCountSerializer({"comparisons": count}).data)


class RequeueDetail(APIView):
    """One re-queue."""

    @extend_schema(responses=RequeueCountSerializer)
    def delete(self, request: Request, project_id: int, requeue_id: int) -> Response:
        """Take back the slots that nobody has taken: how many these were."""
        project = project_for(request.user, project_id, Role.ADMIN)
        count = services.undo_requeue(project=project, pk=requeue_id, actor=person(request))
        return Response(RequeueCountSerializer({"comparisons": count}).data)
