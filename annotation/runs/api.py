"""Training runs over HTTP: an engineer queues, watches, cancels, resumes and clones them."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.models import User
from annotation.core.api import NewestFirst, sent_fields
from annotation.core.errors import InvalidInput
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.runs import estimates, headlines, selectors, services
from annotation.runs.charts import charts_of
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.serializers import (
    CloneSerializer,
    CurvesSerializer,
    EventSerializer,
    NewRunSerializer,
    ResumeSerializer,
    RunEstimateSerializer,
    RunInputsSerializer,
    RunSerializer,
    SpecKindSerializer,
)
from annotation.runs.specs import PLACES, preset_settings, stored_spec
from training.spec.events import EventKind
from training.spec.presets import PRESETS
from training.spec.runs import SPECS, json_schema


class OldestFirst(NewestFirst):
    """Events in the order in which they were said."""

    ordering = "pk"
    page_size = 200
    max_page_size = 1000


def project_of(view: APIView) -> Project:
    """The project in the address, for an engineer of it."""
    return project_for(view.request.user, view.kwargs["project_id"], Role.ENGINEER)


def run_of(view: APIView) -> TrainingRun:
    """The run in the address, found through its project."""
    return selectors.run_in(project_of(view), view.kwargs["run_id"])


def actor_of(request: Request) -> User:
    """Who asks; the gate has let them in."""
    assert isinstance(request.user, User)
    return request.user


RUN_KIND = OpenApiParameter(
    "kind", OpenApiTypes.STR, enum=list(SPECS), description="Only runs of this kind."
)


@extend_schema_view(get=extend_schema(parameters=[RUN_KIND]))
class RunList(ListAPIView[TrainingRun]):
    """The runs of a project, newest first, each with what it came to (`headline`)."""

    queryset = TrainingRun.objects.none()
    filter_names = ("kind",)
    serializer_class = RunSerializer

    def get_queryset(self) -> QuerySet[TrainingRun]:
        runs = selectors.runs_of(project_of(self))
        if kind := self.request.query_params.get("kind"):
            runs = runs.filter(kind=headlines.checked_kind(kind))
        return runs

    @extend_schema(request=NewRunSerializer, responses={201: RunSerializer})
    def post(self, request: Request, **_address: int) -> Response:
        """Queue a run."""
        project = project_of(self)
        asked = sent_fields(NewRunSerializer, request)
        run = services.queue_run(
            project=project,
            spec=asked["spec"],
            **inputs_of(project, asked)._asdict(),
            name=asked["name"],
            actor=actor_of(request),
            timeout_seconds=asked["timeout_seconds"],
        )
        return Response(RunSerializer(run).data, status=201)


def inputs_of(project: Project, asked: Mapping[str, Any]) -> services.Inputs:  # Any: validated data
    """The rows that a request names, found in its project."""
    scorers = {
        field: asked[field] and selectors.model_in(project, asked[field], field=field)
        for field in ("reward_model", "held_out_reward_model", "sampler")
    }
    return services.Inputs(
        snapshot=selectors.snapshot_in(project, asked["snapshot"]),
        base_model=selectors.model_in(project, asked["base_model"], field="base_model"),
        **scorers,
    )


class RunEstimate(APIView):
    """What a run would cost; nothing is queued."""

    @extend_schema(request=RunInputsSerializer, responses=RunEstimateSerializer)
    def post(self, request: Request, **_address: int) -> Response:
        """Steps, time, memory and money of a run with these settings."""
        project = project_of(self)
        form = sent_fields(RunInputsSerializer, request)
        inputs = inputs_of(project, form)
        spec = services.checked_spec(project=project, spec=form["spec"], inputs=inputs)
        found = estimates.estimate(kind=spec.kind, spec=stored_spec(spec), **inputs._asdict())
        return Response(RunEstimateSerializer.facts(found))


class RunDetail(RetrieveAPIView[TrainingRun]):
    """One run."""

    queryset = TrainingRun.objects.none()
    serializer_class = RunSerializer

    def get_object(self) -> TrainingRun:
        return run_of(self)


class RunCancel(APIView):
    """Cancel a queued run at once; ask a running one to stop after a last checkpoint."""

    @extend_schema(request=None, responses=RunSerializer)
    def post(self, request: Request, **_address: int) -> Response:
        run = services.cancel_run(run=run_of(self), actor=actor_of(request))
        return Response(RunSerializer(run).data)


class RunResume(APIView):
    """Queue a failed or cancelled run again; it goes on from its newest checkpoint."""

    @extend_schema(request=ResumeSerializer, responses=RunSerializer)
    def post(self, request: Request, **_address: int) -> Response:
        """Queue it again, where it sampled or elsewhere."""
        run = run_of(self)
        form = sent_fields(ResumeSerializer, request)
        place = sample_on(run.project, form)
        run = services.resume_run(run=run, actor=actor_of(request), sample_on=place)
        return Response(RunSerializer(run).data)


def sample_on(project: Project, asked: Mapping[str, Any]) -> services.SampleOn | None:  # Any: above
    """Where the request says that it samples; None where it says nothing."""
    if "sampler" not in asked:
        return None
    key = asked["sampler"]
    return services.SampleOn(key and selectors.model_in(project, key, field="sampler"))


class RunClone(GenericAPIView[TrainingRun]):
    """Queue a new run with the same spec, records and models."""

    queryset = TrainingRun.objects.none()
    serializer_class = CloneSerializer

    @extend_schema(request=CloneSerializer, responses={201: RunSerializer})
    def post(self, request: Request, **_address: int) -> Response:
        run = run_of(self)
        form = sent_fields(CloneSerializer, request)
        copy = services.clone_run(
            run=run,
            actor=actor_of(request),
            name=form["name"],
            sample_on=sample_on(run.project, form),
        )
        return Response(RunSerializer(copy).data, status=201)


KIND = OpenApiParameter("kind", OpenApiTypes.STR, enum=list(EventKind), description="Only these.")
AFTER = OpenApiParameter("after", OpenApiTypes.INT, description="Only events after this id.")


@extend_schema(parameters=[KIND, AFTER])
class RunEvents(ListAPIView[RunEvent]):
    """What a run said, oldest first; poll with `?after=` the last id you have."""

    queryset = RunEvent.objects.none()
    filter_names = ("kind", "after")
    serializer_class = EventSerializer
    pagination_class = OldestFirst

    def get_queryset(self) -> QuerySet[RunEvent]:
        events = RunEvent.objects.filter(run=run_of(self))
        if kind := self.request.query_params.get("kind"):
            if kind not in list(EventKind):
                raise InvalidInput.at("kind", f"{kind!r} is not one of {', '.join(EventKind)}.")
            events = events.filter(kind=kind)
        after = self.request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            raise InvalidInput.at("after", f"{after!r} is not the id of an event.")
        return events.filter(pk__gt=int(after[:19]))


class RunCurves(APIView):
    """The metrics of a run for a chart."""

    @extend_schema(responses=CurvesSerializer)
    def get(self, _request: Request, **_address: int) -> Response:
        run = run_of(self)
        curves = selectors.curves_of(run)
        answer = {"status": run.status, **curves._asdict(), "charts": charts_of(curves, run.kind)}
        return Response(CurvesSerializer(answer).data)


class SpecList(APIView):
    """The kinds of run: the JSON schema of each spec (without what the rows fill in), and presets."""

    @extend_schema(responses=SpecKindSerializer(many=True))
    def get(self, _request: Request, **_address: int) -> Response:
        project_of(self)
        kinds = [
            {
                "kind": kind,
                "title": spec.title,
                "schema": typed_schema(kind),
                "presets": {name: preset_settings(name, kind) for name in PRESETS},
            }
            for kind, spec in SPECS.items()
        ]
        return Response(SpecKindSerializer(kinds, many=True).data)


def typed_schema(kind: str) -> dict[str, Any]:
    """The schema of what a person gives: models and records are rows, named beside the spec."""
    schema = json_schema(kind)
    return schema | {
        "properties": {
            name: rule for name, rule in schema["properties"].items() if name not in PLACES
        },
        "required": ["kind"],
    }
