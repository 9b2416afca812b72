"""API of labeler groups."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import sent_fields
from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.quality import groups
from annotation.quality.models import LabelerGroup


class GroupSerializer(serializers.ModelSerializer[LabelerGroup]):
    """Labelers under one name, by id; ``removed_at`` where it is among the filters no more."""

    class Meta:
        model = LabelerGroup
        fields = ("id", "name", "labelers", "created_at", "removed_at")
        read_only_fields = fields


class SaveGroupSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=groups.NAME_MAX)
    labelers = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), max_length=10_000
    )


class ChangeGroupSerializer(SaveGroupSerializer):
    """What is left out stays; false takes a removed group back."""

    is_removed = serializers.BooleanField()


class GroupList(APIView):
    """The groups of labelers that are filters of agreement."""

    @extend_schema(responses=GroupSerializer(many=True))
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN, Role.ENGINEER)
        listed = groups.groups_of(project).prefetch_related("labelers")
        return Response(GroupSerializer(listed, many=True).data)

    @extend_schema(request=SaveGroupSerializer, responses={201: GroupSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Name a group."""
        project = project_for(request.user, project_id, Role.ADMIN)
        sent = sent_fields(SaveGroupSerializer, request)
        row = groups.save_group(
            project=project,
            name=sent["name"],
            labeler_ids=sent["labelers"],
            actor=person(request),
        )
        return Response(GroupSerializer(row).data, status=status.HTTP_201_CREATED)


class GroupDetail(APIView):
    """One group."""

    @extend_schema(request=ChangeGroupSerializer, responses=GroupSerializer)
    def patch(self, request: Request, project_id: int, group_id: int) -> Response:
        """Rename it, change who is in it, remove it or take it back."""
        project = project_for(request.user, project_id, Role.ADMIN)
        group = groups.group_of(project, group_id)
        sent = sent_fields(ChangeGroupSerializer, request, partial=True)
        groups.change_group(group=group, actor=person(request), **sent)
        return Response(GroupSerializer(groups.group_of(project, group_id)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, group_id: int) -> Response:
        """Remove it; a patch takes it back."""
        project = project_for(request.user, project_id, Role.ADMIN)
        groups.remove_group(group=groups.group_of(project, group_id), actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
