"""API of projects: settings, members, invitations, guideline, criteria, audit."""

from datetime import date

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.audit.models import AuditEvent
from annotation.core.api import sent_fields
from annotation.core.errors import Forbidden
from annotation.projects import serializers as shapes
from annotation.projects.models import Criterion, Guideline, Invitation, Project, Role
from annotation.projects.selectors import (
    may_create_projects,
    members_of,
    project_for,
    projects_of,
    usable_invitations,
)
from annotation.projects.services import inviting, members, projects, rubric
from annotation.projects.trail import TrailQuery


class ProjectList(generics.ListAPIView[Project]):
    """The projects you are a member of."""

    serializer_class = shapes.ProjectSerializer
    queryset = Project.objects.none()

    def get_queryset(self) -> QuerySet[Project]:
        return projects_of(person(self.request))

    @extend_schema(responses={201: shapes.ProjectSerializer})
    def post(self, request: Request) -> Response:
        """Make a project; you become its first admin."""
        user = person(request)
        if not may_create_projects(user):
            raise Forbidden("Only staff and admins of a project may make projects; ask one.")
        project = projects.create_project(
            actor=user, **sent_fields(shapes.ProjectSerializer, request)
        )
        return Response(shapes.ProjectSerializer(project).data, status=status.HTTP_201_CREATED)


class ProjectDetail(APIView):
    """One project and its settings."""

    @extend_schema(responses=shapes.ProjectSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id)
        return Response(shapes.ProjectSerializer(project).data)

    @extend_schema(request=shapes.ProjectSerializer, responses=shapes.ProjectSerializer)
    def patch(self, request: Request, project_id: int) -> Response:
        """Change settings; what is left out stays."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.ProjectSerializer, request, partial=True)
        projects.update_settings(project=project, actor=person(request), **fields)
        return Response(shapes.ProjectSerializer(project).data)


class ProjectArchive(APIView):
    """Put a project away, or take it back."""

    @extend_schema(request=shapes.ArchiveSerializer, responses=shapes.ProjectSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.ArchiveSerializer, request)
        projects.set_archived(project=project, actor=person(request), **fields)
        return Response(shapes.ProjectSerializer(project).data)


class MemberList(APIView):
    """The members of a project with their roles."""

    @extend_schema(responses=shapes.MemberSerializer(many=True))
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        return Response(shapes.MemberSerializer(members_of(project), many=True).data)

    @extend_schema(
        request=shapes.NewMemberSerializer, responses={201: shapes.MemberSerializer(many=True)}
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Add a person who has an account."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.NewMemberSerializer, request)
        members.add_member(
            project=project,
            username=fields["username"],
            role=Role(fields["role"]),
            languages=fields["languages"],
            actor=person(request),
        )
        listed = shapes.MemberSerializer(members_of(project), many=True)
        return Response(listed.data, status=status.HTTP_201_CREATED)


class MemberDetail(APIView):
    """One member."""

    @extend_schema(request=shapes.RolesSerializer, responses=shapes.MemberSerializer(many=True))
    def put(self, request: Request, project_id: int, user_id: int) -> Response:
        """Let the member hold exactly these roles; the languages of a labeler stay where they are left out."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.RolesSerializer, request)
        members.set_roles(
            project=project,
            user_id=user_id,
            roles={Role(role) for role in fields["roles"]},
            languages=fields.get("languages"),
            actor=person(request),
        )
        return Response(shapes.MemberSerializer(members_of(project), many=True).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, user_id: int) -> Response:
        """Remove the member; the judgments stay."""
        project = project_for(request.user, project_id, Role.ADMIN)
        members.set_roles(project=project, user_id=user_id, roles=(), actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationList(generics.ListAPIView[Invitation]):
    """Links that nobody has used yet."""

    serializer_class = shapes.InvitationSerializer
    queryset = Invitation.objects.none()

    def get_queryset(self) -> QuerySet[Invitation]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        return usable_invitations().filter(project=project)

    @extend_schema(
        request=shapes.SendInvitationSerializer, responses={201: shapes.NewInvitationSerializer}
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Make a link; it is shown in this answer only."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.SendInvitationSerializer, request)
        new = members.invite(
            project=project,
            role=Role(fields["role"]),
            actor=person(request),
            note=fields["note"],
            languages=fields["languages"],
            days=fields["days"],
        )
        body = {
            **shapes.InvitationSerializer(new.invitation).data,
            "link": _link(request, new.token),
        }
        return Response(body, status=status.HTTP_201_CREATED)


class InvitationDetail(APIView):
    """One open link."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, invitation_id: int) -> Response:
        """Withdraw the link."""
        project = project_for(request.user, project_id, Role.ADMIN)
        members.revoke_invitation(
            project=project, invitation_id=invitation_id, actor=person(request)
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationMail(APIView):
    """Invitations by mail."""

    @extend_schema(
        request=shapes.InvitePeopleSerializer,
        responses={201: shapes.SentInvitationSerializer(many=True)},
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Invite several people at once, each by a link of their own; links come back where no mail went out."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.InvitePeopleSerializer, request)
        made = inviting.invite_people(
            project=project,
            addresses=list(dict.fromkeys(fields["addresses"])),
            role=Role(fields["role"]),
            languages=fields["languages"],
            days=fields["days"],
            actor=person(request),
            link_of=lambda token: _link(request, token),
        )
        body = shapes.SentInvitationSerializer(made, many=True).data
        return Response(body, status=status.HTTP_201_CREATED)


class InvitationResend(APIView):
    """An invitation once more."""

    @extend_schema(request=None, responses=shapes.SentInvitationSerializer)
    def post(self, request: Request, project_id: int, invitation_id: int) -> Response:
        """Send it again with a fresh link, which ends the one before."""
        made = inviting.resend(
            project=project_for(request.user, project_id, Role.ADMIN),
            invitation_id=invitation_id,
            actor=person(request),
            link_of=lambda token: _link(request, token),
        )
        return Response(shapes.SentInvitationSerializer(made).data)


def _link(request: Request, token: str) -> str:
    return request.build_absolute_uri(reverse("projects-invitation", args=[token]))


class GuidelineList(generics.ListAPIView[Guideline]):
    """The versions of the guideline, newest first."""

    serializer_class = shapes.GuidelineSerializer
    queryset = Guideline.objects.none()

    def get_queryset(self) -> QuerySet[Guideline]:
        project = project_for(self.request.user, self.kwargs["project_id"])
        return project.guidelines.order_by("-pk")

    @extend_schema(responses={201: shapes.GuidelineSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Publish the next version."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.GuidelineSerializer, request)
        guideline = projects.publish_guideline(project=project, actor=person(request), **fields)
        body = shapes.GuidelineSerializer(guideline).data
        return Response(body, status=status.HTTP_201_CREATED)


class CriterionList(generics.ListAPIView[Criterion]):
    """The criteria of the rubric, in the order in which they are asked."""

    serializer_class = shapes.CriterionSerializer
    queryset = Criterion.objects.none()
    pagination_class = None

    def get_queryset(self) -> QuerySet[Criterion]:
        return project_for(self.request.user, self.kwargs["project_id"]).criteria.all()

    @extend_schema(responses={201: shapes.CriterionSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Add a criterion, or change the question of the one with this name; its title, where it is sent."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.CriterionSerializer, request)
        criterion = rubric.save_criterion(project=project, actor=person(request), **fields)
        body = shapes.CriterionSerializer(criterion).data
        return Response(body, status=status.HTTP_201_CREATED)


class CriterionDetail(APIView):
    """One criterion."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, name: str) -> Response:
        """Stop asking about it."""
        project = project_for(request.user, project_id, Role.ADMIN)
        rubric.remove_criterion(project=project, name=name, actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class CriterionUndo(APIView):
    """What was done to a criterion, undone."""

    @extend_schema(request=None, responses=shapes.CriterionSerializer)
    def post(self, request: Request, project_id: int, event_id: int) -> Response:
        """Put a criterion back as it was before its removal or change, named by its event in `audit/`."""
        project = project_for(request.user, project_id, Role.ADMIN)
        row = rubric.undo_criterion(project=project, event_id=event_id, actor=person(request))
        return Response(shapes.CriterionSerializer(row).data)


TRAIL = [
    OpenApiParameter("verb", str, description="Only acts whose verb begins so: `rule.`."),
    OpenApiParameter("actor", int, description="Only what this user did."),
    OpenApiParameter("since", date, description="Only from this day on."),
    OpenApiParameter("until", date, description="Only up to this day, which is within."),
    OpenApiParameter("answers", str, enum=["no"], description="Leave out what labelers answered."),
]


@extend_schema_view(get=extend_schema(parameters=TRAIL))
class AuditList(generics.ListAPIView[AuditEvent]):
    """Who did what in the project, newest first."""

    serializer_class = shapes.AuditEventSerializer
    queryset = AuditEvent.objects.none()
    filter_names = tuple(one.name for one in TRAIL)

    def get_queryset(self) -> QuerySet[AuditEvent]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        return TrailQuery.from_query(self.request.GET).events_in(project)
