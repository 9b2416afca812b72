"""API of labeling: lease the next comparison, answer it, skip, undo; and what admins see of comparisons."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.comparisons import drawing, selectors
from annotation.comparisons import serializers as shapes
from annotation.comparisons.bench import bench_for
from annotation.comparisons.incoming import answer_from_json
from annotation.comparisons.models import Assignment, Comparison, Judgment
from annotation.comparisons.progress import progress_of
from annotation.comparisons.services import comparisons, flagging, judging, queue
from annotation.comparisons.services.pairing import pair_candidates, pair_waiting
from annotation.comparisons.stations import Asked, Station, station_of
from annotation.comparisons.worddiff import word_diff
from annotation.core.api import sent_fields
from annotation.core.errors import InvalidInput, NotFound
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for

SERVING = [
    OpenApiParameter("bench", bool, description="Add the HTML of each lease."),
    OpenApiParameter("ahead", int, description="Lease up to so many more for later: 0, 1 or 2."),
    OpenApiParameter("held", str, description="Ids of leases that you have: 11,12."),
]
STATE = OpenApiParameter("state", str, enum=Comparison.State.values, description="Only these.")
KEPT_AS_SURPLUS = gettext_lazy("Your time had ended, so this answer is kept but not counted.")
SAVED = gettext_lazy("Saved.")
NOT_THERE = gettext_lazy("That answer is not here to be undone. Nothing was changed.")
REOPENED = {  # by whether it was skipped
    False: gettext_lazy("Your last judgment is open again."),
    True: gettext_lazy("What you skipped is open again."),
}
MOST_AHEAD = 2
MOST_HELD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the query of a labeling call asks for."""

    ahead: int
    held: frozenset[int]
    has_bench: bool


def wish(request: Request) -> Wish:
    """The wish in the query; InvalidInput naming what cannot be read."""
    ahead, held = request.query_params.get("ahead", "0"), request.query_params.get("held", "")
    if ahead not in {str(count) for count in range(MOST_AHEAD + 1)}:
        raise InvalidInput.at("ahead", f"{ahead!r} is not 0, 1 or {MOST_AHEAD}.")
    keys = held.split(",") if held else []
    if len(keys) > MOST_HELD or not all(key.isdecimal() and len(key) < 19 for key in keys):
        raise InvalidInput.at("held", f"{held[:60]!r} is not a short list of lease ids, as 11,12.")
    return Wish(
        ahead=int(ahead),
        held=frozenset(int(key) for key in keys),
        has_bench="bench" in request.query_params,
    )


def reply(
    request: Request,
    asked: Wish,
    station: Station,
    served: queue.Served,
    **told: Any,  # Any: JSON
) -> Response:
    """The leases of the labeler, or why there are none, and how far they are.

    Written by hand, not by serializers: this is what is asked for hundreds of times a second.
    """
    shown = [one for one in served.leases if one.pk not in asked.held]
    criteria = station.criteria
    new = [
        leased(one, bench=bench_html(request, one, criteria) if asked.has_bench else "")
        for one in shown
    ]
    empty = served.empty
    done = progress_of(
        project_id=station.project.pk,
        labeler=station.member.user,
        languages=queue.languages_of(station.member),
        done=station.done,
        held=len(served.leases),
    )
    body = {
        "judgment": None,
        "message": "",
        "feedback": None,
        "reopened": None,
        "was_skipped": False,
        **told,
        "assignment": new[0] if new else None,
        "ahead": new[1:],
        "leases": [lease_of(one) for one in served.leases],
        "empty": empty and shapes.EmptySerializer(empty).data,
        "progress": asdict(done),
        "guideline_version": station.guideline_version,
    }
    return Response(body)


def acted(
    request: Request,
    asked: Wish,
    project_id: int,
    message: str,
    **told: Any,  # Any: JSON
) -> Response:
    """What comes next after a labeler did something else than answering."""
    station = station_of(labeler=person(request), project_id=project_id)
    served = queue.serve(station=station, ahead=asked.ahead, held=asked.held, is_answering=True)
    return reply(request, asked, station, served, message=message, **told)


def lease_of(lease: queue.Lease) -> dict[str, Any]:  # Any: JSON
    """How long something is leased."""
    return {
        "id": lease.pk,
        "lease_until": lease.row.lease_until.isoformat().replace("+00:00", "Z"),
        "seconds_left": lease.seconds_left,
    }


def leased(lease: queue.Lease, *, bench: str) -> dict[str, Any]:  # Any: JSON
    """A lease as its labeler gets it: nothing but what is to be judged."""
    return {
        **lease_of(lease),
        "comparison": lease.comparison_id,
        "prompt": lease.row.turns,
        "candidates": [{"id": pk, "text": one.text} for pk, one in lease.responses.items()],
        "bench": bench,
    }


def bench_html(request: Request, lease: queue.Lease, criteria: Sequence[Asked]) -> str:
    """The HTML of a lease for the labeling page; its form holds the token that the page itself sent."""
    token = escape(request.headers.get("X-CSRFToken", ""))
    return drawing.draw(bench_for(lease, criteria), csrf_token=token)


class NextAssignment(APIView):
    """The labeling queue."""

    @extend_schema(
        request=None,
        responses=shapes.NextSerializer,
        parameters=SERVING,
        operation_id="assignments_next",
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Lease the next comparison; your live lease again, if you have one."""
        asked = wish(request)
        station = station_of(labeler=person(request), project_id=project_id)
        served = queue.serve(station=station, ahead=asked.ahead, held=asked.held)
        return reply(request, asked, station, served)


class AssignmentJudgment(APIView):
    """The answer to an assignment."""

    @extend_schema(
        request=shapes.AnswerSerializer, responses=shapes.NextSerializer, parameters=SERVING
    )
    def post(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Judge, and lease the next. The same client_uuid again stores nothing and answers the same."""
        asked = wish(request)
        try:
            answer = answer_from_json(request.data)
        except InvalidInput:  # a stranger learns that there is nothing here, not what is wrong
            own(request, project_for(person(request), project_id, Role.LABELER), assignment_id)
            raise
        answered = judging.answer_and_serve(
            labeler=person(request),
            project_id=project_id,
            assignment_id=assignment_id,
            answer=answer,
            ahead=asked.ahead,
            held=asked.held,
        )
        told = shapes.told_judgment(answered.judgment, is_counted=not answered.is_late)
        return reply(
            request,
            asked,
            answered.station,
            answered.served,
            judgment=told,
            message=str(KEPT_AS_SURPLUS if answered.is_late else SAVED),
            feedback=answered.feedback and shapes.FeedbackSerializer(answered.feedback).data,
        )


class AssignmentSkip(APIView):
    """Giving an assignment back."""

    @extend_schema(
        request=shapes.SkipSerializer, responses=shapes.NextSerializer, parameters=SERVING
    )
    def post(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Skip with a reason, and lease the next; the skipped one does not come back to you."""
        asked, labeler = wish(request), person(request)
        project = project_for(labeler, project_id, Role.LABELER)
        assignment = own(request, project, assignment_id)
        queue.skip_assignment(assignment=assignment, **sent_fields(shapes.SkipSerializer, request))
        return acted(request, asked, project_id, _("Skipped."))


class AssignmentLease(APIView):
    """The lease on an assignment."""

    @extend_schema(request=None, responses=shapes.LeaseSerializer)
    def post(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Extend the lease by one lease time."""
        project = project_for(request.user, project_id, Role.LABELER)
        assignment = queue.extend_lease(assignment=own(request, project, assignment_id))
        return Response(shapes.LeaseSerializer(assignment).data)


class AssignmentFlag(APIView):
    """A note to the admins."""

    @extend_schema(request=shapes.FlagNoteSerializer, responses={201: shapes.FlagSerializer})
    def post(self, request: Request, project_id: int, assignment_id: int) -> Response:
        """Tell the admins about a comparison; your judgment goes on as usual."""
        project = project_for(request.user, project_id, Role.LABELER)
        assignment = own(request, project, assignment_id)
        note = sent_fields(shapes.FlagNoteSerializer, request)["note"]
        flag = flagging.flag_comparison(assignment=assignment, note=note)
        return Response(shapes.FlagSerializer(flag).data, status=status.HTTP_201_CREATED)


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
    """Taking the last judgment or skip back."""

    @extend_schema(
        request=shapes.UndoSerializer, responses=shapes.NextSerializer, parameters=SERVING
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Take back your newest judgment or skip, or the one you name, and lease its comparison again.

        Named, it may be asked again: what never arrived or is open already changes nothing.
        """
        asked, labeler = wish(request), person(request)
        project = project_for(labeler, project_id, Role.LABELER)
        named = sent_fields(shapes.UndoSerializer, request)
        del named["age_ms"]
        undone = judging.undo(project=project, labeler=labeler, **named)
        row = undone.assignment
        was = REOPENED[undone.was_skipped] if row else NOT_THERE
        key = row and row.pk
        told = {"reopened": key, "was_skipped": bool(row) and undone.was_skipped}
        return acted(request, asked, project_id, str(was), **told)


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
    filter_names = ("state",)

    def get_queryset(self) -> QuerySet[Comparison]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        state = self.request.query_params.get("state", "")
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
        fields = sent_fields(shapes.PairPromptSerializer, request)
        prompt = project.prompts.filter(pk=fields["prompt"]).first()
        if prompt is None:
            raise NotFound(f"There is no prompt {fields['prompt']} in this project.")
        made = pair_candidates(
            project=project,
            prompt=prompt,
            strategy=fields.get("strategy"),
            overlap=fields.get("overlap"),
        )
        body = shapes.ComparisonSerializer(made, many=True).data
        return Response(body, status=status.HTTP_201_CREATED)


class ComparisonPair(APIView):
    """Pairing of everything that waits."""

    @extend_schema(request=shapes.PairWaitingSerializer, responses=shapes.PairedSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        """Make the comparisons of all prompts with candidates and no comparison yet; call again while some wait."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(shapes.PairWaitingSerializer, request)
        made = pair_waiting(project=project, actor=person(request), **fields)
        body = {"made": made, "prompts_waiting": selectors.prompts_to_pair(project).count()}
        return Response(shapes.PairedSerializer(body).data)


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
        state = sent_fields(shapes.ComparisonStateSerializer, request)["state"]
        row = comparisons.set_closed(
            comparison=row, is_closed=comparisons.state_named(state), actor=person(request)
        )
        return Response(shapes.ComparisonSerializer(row).data)


def own(request: Request, project: Project, assignment_id: int) -> Assignment:
    """The assignment, if it is this person's in this project."""
    labeler_id = person(request).pk
    return selectors.assignment_of(project=project, labeler_id=labeler_id, pk=assignment_id)
