"""API of labeling: lease the next comparison, answer it, skip, undo; and what admins see of comparisons."""

from typing import Any

from django.db.models import QuerySet
from django.template.loader import render_to_string
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.comparisons import selectors
from annotation.comparisons import serializers as shapes
from annotation.comparisons.bench import bench_for
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.services import comparisons, judging, queue
from annotation.comparisons.services.pairing import pair_candidates
from annotation.comparisons.worddiff import word_diff
from annotation.core.errors import InvalidInput, NotFound
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for

WITH_BENCH = OpenApiParameter("bench", bool, description="Add the HTML of the assignment.")
STATE = OpenApiParameter("state", str, enum=Comparison.State.values, description="Only these.")
KEPT_AS_SURPLUS = "Your time had ended, so this answer is kept but not counted."
SAVED = "Saved."


def sent(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The fields of the request, checked against ``shape``."""  # Any: DRF's own types
    serializer = shape(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def what_next(
    request: Request, project: Project, *, judgment: Judgment | None = None, message: str = ""
) -> Response:
    """Answer with the next assignment, or why there is none, and how far the labeler is."""
    labeler = person(request)
    found = queue.lease_next_comparison(project=project, labeler=labeler)
    assignment = found if isinstance(found, Assignment) else None
    bench = bench_for(assignment) if assignment and "bench" in request.query_params else None
    body = {
        "judgment": judgment,
        "message": message,
        "assignment": assignment and leased(assignment),
        "empty": None if assignment else found,
        "progress": selectors.progress_of(project=project, labeler_id=labeler.pk),
        "bench": bench
        and render_to_string("comparisons/_bench.html", {"bench": bench}, request=request),
    }
    body["bench"] = body["bench"] or ""
    return Response(shapes.NextSerializer(body).data)


def leased(assignment: Assignment) -> dict[str, Any]:  # Any: what the serializer reads
    """An assignment with its candidates in the order drawn for it."""
    texts = selectors.texts_of(assignment.shown_order)
    return {
        "id": assignment.pk,
        "comparison_id": assignment.comparison_id,
        "lease_until": assignment.lease_until,
        "comparison": assignment.comparison,
        "candidates": [{"id": pk, "text": texts[pk]} for pk in assignment.shown_order],
    }


class NextAssignment(APIView):
    """The labeling queue."""

    @extend_schema(
        request=None,
        responses=shapes.NextSerializer,
        parameters=[WITH_BENCH],
        operation_id="assignments_next",
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Lease the next comparison; your live lease again, if you have one."""
        project = project_for(request.user, project_id, Role.LABELER)
        return what_next(request, project)


class AssignmentJudgment(APIView):
    """The answer to an assignment."""

    @extend_schema(
        request=shapes.AnswerSerializer, responses=shapes.NextSerializer, parameters=[WITH_BENCH]
    )
    def post(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Judge, and lease the next. The same client_uuid again stores nothing and answers the same."""
        project = project_for(request.user, project_id, Role.LABELER)
        assignment = own(request, project, assignment_id)
        answer = sent(shapes.AnswerSerializer, request)
        judgment = judging.submit_judgment(assignment=assignment, **answer)
        message = SAVED if judgment.is_counted else KEPT_AS_SURPLUS
        return what_next(request, project, judgment=judgment, message=message)


class AssignmentSkip(APIView):
    """Giving an assignment back."""

    @extend_schema(
        request=shapes.SkipSerializer, responses=shapes.NextSerializer, parameters=[WITH_BENCH]
    )
    def post(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Skip with a reason, and lease the next; the skipped one does not come back to you."""
        project = project_for(request.user, project_id, Role.LABELER)
        assignment = own(request, project, assignment_id)
        queue.skip_assignment(assignment=assignment, **sent(shapes.SkipSerializer, request))
        return what_next(request, project, message="Skipped.")


class AssignmentLease(APIView):
    """The lease on an assignment."""

    @extend_schema(request=None, responses=shapes.LeaseSerializer)
    def post(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Extend the lease by one lease time."""
        project = project_for(request.user, project_id, Role.LABELER)
        assignment = queue.extend_lease(assignment=own(request, project, assignment_id))
        return Response(shapes.LeaseSerializer(assignment).data)


class AssignmentDiff(APIView):
    """Where the two responses of an assignment differ."""

    @extend_schema(responses=shapes.DiffSerializer)
    def get(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Word by word, for near-duplicates; null where they are too different, or more than two."""
        project = project_for(request.user, project_id, Role.LABELER)
        ids = own(request, project, assignment_id).shown_order
        texts = selectors.texts_of(ids)
        marked = word_diff(*(texts[pk] for pk in ids)) if len(ids) == 2 else None
        return Response({"candidates": marked and dict(zip(map(str, ids), marked, strict=True))})


class JudgmentUndo(APIView):
    """Taking the last judgment back."""

    @extend_schema(request=None, responses=shapes.NextSerializer, parameters=[WITH_BENCH])
    def post(self, request: Request, project_id: int) -> Response:
        """Withdraw your newest judgment and lease its comparison again."""
        project = project_for(request.user, project_id, Role.LABELER)
        judging.undo_last(project=project, labeler=person(request))
        return what_next(request, project, message="Your last judgment is open again.")


class JudgmentList(generics.ListAPIView[Judgment]):
    """The judgments of a project, newest first."""

    serializer_class = shapes.JudgmentSerializer
    queryset = Judgment.objects.none()

    def get_queryset(self) -> QuerySet[Judgment]:
        allowed = (Role.ADMIN, Role.ENGINEER)
        return project_for(self.request.user, self.kwargs["project_id"], *allowed).judgments.all()


class ComparisonList(generics.ListAPIView[Comparison]):
    """The comparisons of a project, newest first."""

    serializer_class = shapes.ComparisonSerializer
    queryset = Comparison.objects.none()

    def get_queryset(self) -> QuerySet[Comparison]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        state = self.request.query_params.get("state", "")
        if state and state not in Comparison.State.values:
            known = ", ".join(Comparison.State.values)
            raise InvalidInput.at("state", f"{state!r} is not one of {known}.")
        return selectors.comparisons_in(project, state=state)

    @extend_schema(parameters=[STATE])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's own
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request=shapes.PairPromptSerializer,
        responses={201: shapes.ComparisonSerializer(many=True)},
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Make the comparisons of one prompt's candidates that are not there yet."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent(shapes.PairPromptSerializer, request)
        prompt = project.prompts.filter(pk=fields["prompt"]).first()
        if prompt is None:
            raise NotFound(f"There is no prompt {fields['prompt']} in this project.")
        made = pair_candidates(
            project=project,
            prompt=prompt,
            strategy=fields["strategy"],
            overlap=fields.get("overlap"),
        )
        body = shapes.ComparisonSerializer(made, many=True).data
        return Response(body, status=status.HTTP_201_CREATED)


class ComparisonDetail(APIView):
    """One comparison."""

    @extend_schema(responses=shapes.ComparisonSerializer)
    def get(self, request: Request, project_id: int, comparison_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        row = selectors.comparison_of(project=project, pk=comparison_id)
        return Response(shapes.ComparisonSerializer(row).data)

    @extend_schema(request=shapes.ComparisonStateSerializer, responses=shapes.ComparisonSerializer)
    def patch(self, request: Request, project_id: int, comparison_id: int) -> Response:
        """Close a comparison, or open it again."""
        project = project_for(request.user, project_id, Role.ADMIN)
        row = selectors.comparison_of(project=project, pk=comparison_id)
        state = sent(shapes.ComparisonStateSerializer, request)["state"]
        row = comparisons.set_closed(
            comparison=row, is_closed=comparisons.state_named(state), actor=person(request)
        )
        return Response(shapes.ComparisonSerializer(row).data)


def own(request: Request, project: Project, assignment_id: int) -> Assignment:
    """The assignment, if it is this person's in this project."""
    labeler_id = person(request).pk
    return selectors.assignment_of(project=project, labeler_id=labeler_id, pk=assignment_id)
