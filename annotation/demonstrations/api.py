"""API of demonstrations: lease, draft, submit, withdraw, skip; ask, review, reverse, release."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.comparisons.worddiff import word_changes
from annotation.core.api import sent_fields
from annotation.core.errors import InvalidInput
from annotation.demonstrations import selectors
from annotation.demonstrations import serializers as shapes
from annotation.demonstrations.models import Demonstration, Opening
from annotation.demonstrations.services import asking, reviewing, writing
from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from annotation.ui import markdown

STATE = OpenApiParameter("state", str, enum=selectors.FILTERS, description="Only these.")


def own(request: Request, project_id: int, pk: int) -> Demonstration:
    """The demonstration, if it is this labeler's own in this project."""
    project = project_for(request.user, project_id, Role.LABELER)
    return selectors.own_demonstration(project, author_id=person(request).pk, pk=pk)


def any_of(request: Request, project_id: int, pk: int) -> Demonstration:
    """The demonstration, for an admin of its project."""
    project = project_for(request.user, project_id, Role.ADMIN)
    return selectors.demonstration_of(project, pk)


def done(
    act: Callable[..., Demonstration],
    request: Request,
    project_id: int,
    pk: int,
    shape: type[Serializer[Any]] | None = None,
) -> Response:
    """The labeler's own demonstration after ``act`` was done to it, with the fields sent, if it takes any."""
    row = own(request, project_id, pk)
    fields = sent_fields(shape, request) if shape else {}
    return Response(shapes.WorkSerializer(act(demonstration=row, **fields)).data)


class NextDemonstration(APIView):
    """The writers' queue."""

    @extend_schema(
        request=None, responses=shapes.NextWorkSerializer, operation_id="demonstrations_next"
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Lease the next prompt to answer or response to edit; your live draft again, if you have one."""
        project = project_for(request.user, project_id, Role.LABELER)
        found = writing.lease_next(project=project, author=person(request))
        work = found if isinstance(found, Demonstration) else None
        body = {"demonstration": work, "empty": None if work else found}
        return Response(shapes.NextWorkSerializer(body).data)


class OwnDemonstrations(generics.ListAPIView[Demonstration]):
    """What you wrote or began here, newest first."""

    serializer_class = shapes.WorkSerializer
    queryset = Demonstration.objects.none()

    def get_queryset(self) -> QuerySet[Demonstration]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.LABELER)
        return selectors.own_demonstrations(project, author_id=person(self.request).pk)


class OwnDemonstration(APIView):
    """One of your own."""

    @extend_schema(responses=shapes.WorkSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        return Response(shapes.WorkSerializer(own(request, project_id, pk)).data)


class DemonstrationDraft(APIView):
    """The draft of a demonstration."""

    @extend_schema(request=shapes.DraftSerializer, responses=shapes.WorkSerializer)
    def put(self, request: Request, project_id: int, pk: int) -> Response:
        """Keep what was typed, and renew the lease."""
        return done(writing.save_draft, request, project_id, pk, shapes.DraftSerializer)


class DemonstrationSubmission(APIView):
    """Sending a demonstration to review."""

    @extend_schema(request=shapes.SubmissionSerializer, responses=shapes.WorkSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Submit; the same client_uuid again stores nothing and answers the same."""
        return done(writing.submit, request, project_id, pk, shapes.SubmissionSerializer)

    @extend_schema(responses=shapes.WorkSerializer)
    def delete(self, request: Request, project_id: int, pk: int) -> Response:
        """Take it back to go on writing; possible until it is reviewed."""
        return done(writing.withdraw, request, project_id, pk)


class DemonstrationSkip(APIView):
    """Giving a demonstration back unwritten."""

    @extend_schema(request=shapes.SkipWorkSerializer, responses=shapes.WorkSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Skip with a reason; it does not come back to you."""
        return done(writing.skip, request, project_id, pk, shapes.SkipWorkSerializer)


class DemonstrationDiff(APIView):
    """Where your text differs from the original."""

    @extend_schema(request=shapes.PreviewTextSerializer, responses=shapes.WordDiffSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Word by word; null where there is no original or the two are too different."""
        row = own(request, project_id, pk)
        text = sent_fields(shapes.PreviewTextSerializer, request)["text"]
        marked = word_changes(row.source.text, text) if row.source else None
        before, after = marked or (None, None)
        return Response({"before": before, "after": after})


class TextPreview(APIView):
    """How a text will be shown."""

    @extend_schema(request=shapes.PreviewTextSerializer, responses=shapes.PreviewHtmlSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        """Markdown as safe HTML, by the rules of every page here."""
        project_for(request.user, project_id, Role.LABELER, Role.ADMIN)
        text = sent_fields(shapes.PreviewTextSerializer, request)["text"]
        return Response({"html": markdown.render(text)})


class DemonstrationList(generics.ListAPIView[Demonstration]):
    """The demonstrations of a project, newest first, with every version that was sent."""

    serializer_class = shapes.DemonstrationSerializer
    queryset = Demonstration.objects.none()
    filter_names = ("state",)

    def get_queryset(self) -> QuerySet[Demonstration]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        rows = selectors.demonstrations(project).prefetch_related("versions")
        state = self.request.query_params.get("state", "")
        return rows.filter(state=known_state(state)) if state else rows

    @extend_schema(
        parameters=[OpenApiParameter("state", str, enum=Demonstration.State.values)],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's own
        return super().get(request, *args, **kwargs)


def known_state(state: str) -> str:
    if state not in Demonstration.State.values:
        known = ", ".join(Demonstration.State.values)
        raise InvalidInput.at("state", f"{state!r} is not one of {known}.")
    return state


class DemonstrationDetail(APIView):
    """One demonstration."""

    @extend_schema(responses=shapes.DemonstrationSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        return Response(shapes.DemonstrationSerializer(any_of(request, project_id, pk)).data)


class DemonstrationReview(APIView):
    """The verdict of a second person."""

    @extend_schema(request=shapes.ReviewSerializer, responses=shapes.DemonstrationSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Approve, approve with changes, or return with a note; never your own."""
        row = any_of(request, project_id, pk)
        fields = sent_fields(shapes.ReviewSerializer, request)
        act = {"demonstration": row, "reviewer": person(request), "version": fields["version"]}
        if fields["verdict"] == shapes.ReviewSerializer.Verdict.RETURN:
            row = reviewing.send_back(**act, note=fields["note"])
        else:
            row = reviewing.approve(**act, text=fields.get("text"), note=fields["note"])
        return Response(shapes.DemonstrationSerializer(row).data)

    @extend_schema(responses=shapes.DemonstrationSerializer)
    def delete(self, request: Request, project_id: int, pk: int) -> Response:
        """Reverse the verdict, while no snapshot and no comparison holds the candidate."""
        row = any_of(request, project_id, pk)
        row = reviewing.reverse(demonstration=row, actor=person(request))
        return Response(shapes.DemonstrationSerializer(row).data)


class DemonstrationRelease(APIView):
    """Freeing an opening that its author does not finish."""

    @extend_schema(request=None, responses=shapes.DemonstrationSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """The text is kept; another person may write now."""
        row = any_of(request, project_id, pk)
        row = reviewing.release(demonstration=row, actor=person(request))
        return Response(shapes.DemonstrationSerializer(row).data)


class OpeningList(generics.ListAPIView[Opening]):
    """The openings of a project, newest first."""

    serializer_class = shapes.OpeningSerializer
    queryset = Opening.objects.none()
    filter_names = ("state",)

    def get_queryset(self) -> QuerySet[Opening]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        state = self.request.query_params.get("state", "")
        if state and state not in selectors.FILTERS:
            known = ", ".join(selectors.FILTERS)
            raise InvalidInput.at("state", f"{state!r} is not one of {known}.")
        return selectors.openings_in(project, state=state)

    @extend_schema(parameters=[STATE])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's own
        return super().get(request, *args, **kwargs)

    @extend_schema(request=shapes.AskSerializer, responses={201: shapes.AskedSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Ask for demonstrations, or with `choose` for edits of judged candidates."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.AskSerializer, request)
        made = asking.ask(project=project, actor=person(request), **fields)
        return Response({"openings": made}, status=status.HTTP_201_CREATED)


class OpeningDetail(APIView):
    """One opening."""

    @extend_schema(request=shapes.OpeningStateSerializer, responses=shapes.OpeningSerializer)
    def patch(self, request: Request, project_id: int, pk: int) -> Response:
        """Withdraw an opening that nobody holds, or put it back."""
        project = project_for(request.user, project_id, Role.ADMIN)
        opening = selectors.opening_of(project, pk)
        fields = sent_fields(shapes.OpeningStateSerializer, request)
        row = asking.set_closed(opening=opening, actor=person(request), **fields)
        return Response(shapes.OpeningSerializer(row).data)


class WritingProgress(APIView):
    """How far the demonstrations of a project are."""

    @extend_schema(responses=shapes.WritingProgressSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        return Response(shapes.WritingProgressSerializer(selectors.progress_of(project)).data)
