"""API of machine judges: constitutions, judges and their reports, runs, revisions."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import sent_fields
from annotation.judges import selectors
from annotation.judges import serializers as shapes
from annotation.judges.models import Constitution, Hearing, Judge, JudgeRun, Revision, RevisionRun
from annotation.judges.report import report_of
from annotation.judges.services import appointing, hearing, revising
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.registry.selectors import model_for

ASKERS = (Role.ADMIN, Role.ENGINEER)


def _project(request: Request, project_id: int) -> Project:
    return project_for(person(request), project_id, *ASKERS)


class ConstitutionList(generics.ListAPIView[Constitution]):
    """The versions of the constitution, newest first."""

    serializer_class = shapes.ConstitutionSerializer
    queryset = Constitution.objects.none()

    def get_queryset(self) -> QuerySet[Constitution]:
        return selectors.constitutions_of(_project(self.request, self.kwargs["project_id"]))

    @extend_schema(
        request=shapes.ConstitutionSerializer, responses={201: shapes.ConstitutionSerializer}
    )
    def post(self, request: Request, project_id: int, *_args: Any) -> Response:  # Any: DRF's
        """Publish the next version; judges keep the one they were given."""
        project = _project(request, project_id)
        sent = sent_fields(shapes.ConstitutionSerializer, request)
        made = appointing.publish_constitution(
            project=project, principles=sent["principles"], actor=person(request)
        )
        return Response(shapes.ConstitutionSerializer(made).data, status=status.HTTP_201_CREATED)


class JudgeList(generics.ListAPIView[Judge]):
    """The machine judges, newest first."""

    serializer_class = shapes.JudgeSerializer
    queryset = Judge.objects.none()

    def get_queryset(self) -> QuerySet[Judge]:
        return selectors.judges_of(_project(self.request, self.kwargs["project_id"]))

    @extend_schema(request=shapes.NewJudgeSerializer, responses={201: shapes.JudgeSerializer})
    def post(self, request: Request, project_id: int, *_args: Any) -> Response:  # Any: DRF's
        """Appoint a judge: a model under a constitution, asked in one way."""
        project = _project(request, project_id)
        fields = sent_fields(shapes.NewJudgeSerializer, request)
        given = fields.pop("constitution", None)
        judge = appointing.appoint_judge(
            project=project,
            model=model_for(project, fields.pop("model")),
            constitution=None if given is None else selectors.constitution_for(project, given),
            actor=person(request),
            **fields,
        )
        return Response(shapes.JudgeSerializer(judge).data, status=status.HTTP_201_CREATED)


class JudgeDetail(APIView):
    """One machine judge."""

    @extend_schema(responses=shapes.JudgeSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        judge = selectors.judge_for(_project(request, project_id), pk)
        return Response(shapes.JudgeSerializer(judge).data)


class JudgeReportDetail(APIView):
    """What is measured of a judge."""

    @extend_schema(responses=shapes.JudgeReportSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        """Unread answers, leaning, consistency, agreement with people, the alt-test; fit or unfit, and why."""
        judge = selectors.judge_for(_project(request, project_id), pk)
        return Response(report_of(judge).as_json())


class HearingList(generics.ListAPIView[Hearing]):
    """What a judge said, comparison by comparison, newest first."""

    serializer_class = shapes.HearingSerializer
    queryset = Hearing.objects.none()
    filter_names = ("outcome",)

    @extend_schema(parameters=[OpenApiParameter("outcome", str, enum=list(Hearing.Outcome.values))])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Hearing]:
        project = _project(self.request, self.kwargs["project_id"])
        judge = selectors.judge_for(project, self.kwargs["pk"])
        return selectors.hearings_of(judge, self.request.query_params.get("outcome", ""))


class JudgeRunList(generics.ListAPIView[JudgeRun]):
    """The runs of a judge, newest first."""

    serializer_class = shapes.JudgeRunSerializer
    queryset = JudgeRun.objects.none()

    def get_queryset(self) -> QuerySet[JudgeRun]:
        project = _project(self.request, self.kwargs["project_id"])
        judge = selectors.judge_for(project, self.kwargs["pk"])
        return selectors.judge_runs_of(project).filter(judge=judge)

    @extend_schema(request=shapes.NewJudgeRunSerializer, responses={201: shapes.JudgeRunSerializer})
    def post(self, request: Request, project_id: int, pk: int, *_args: Any) -> Response:
        """Let the judge hear the comparisons it has not heard yet, each pair in both orders."""
        judge = selectors.judge_for(_project(request, project_id), pk)  # Any: DRF's
        sent = sent_fields(shapes.NewJudgeRunSerializer, request)
        run = hearing.request_hearing(
            judge=judge,
            wanted_comparisons=sent["wanted"],
            max_comparisons=sent["max_comparisons"],
            actor=person(request),
        )
        return Response(shapes.JudgeRunSerializer(run).data, status=status.HTTP_201_CREATED)


def _judge_run(request: Request, project_id: int, pk: int) -> JudgeRun:
    project = _project(request, project_id)
    return selectors.run_for(project, selectors.judge_runs_of(project), pk)


class JudgeRunDetail(APIView):
    """One run of a judge."""

    @extend_schema(responses=shapes.JudgeRunDetailSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        """The run, and how its hearings ended."""
        run = _judge_run(request, project_id, pk)
        facts = selectors.facts_of(run.hearings.all())
        body = {
            **shapes.JudgeRunSerializer(run).data,
            "facts": shapes.FactsSerializer(facts).data,
        }
        return Response(body)


class JudgeRunCancel(APIView):
    """Stop a run of a judge."""

    @extend_schema(request=None, responses=shapes.JudgeRunSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """What was heard stays; the run can be resumed."""
        run = _judge_run(request, project_id, pk)
        hearing.cancel(run=run, actor=person(request))
        return Response(shapes.JudgeRunSerializer(run).data)


class JudgeRunResume(APIView):
    """Go on with a run of a judge."""

    @extend_schema(request=None, responses=shapes.JudgeRunSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Only what was not heard, or failed, is asked."""
        run = _judge_run(request, project_id, pk)
        hearing.resume(run=run, left=selectors.wanted(run).count(), actor=person(request))
        return Response(shapes.JudgeRunSerializer(run).data)


class RevisionRunList(generics.ListAPIView[RevisionRun]):
    """The runs of critique and revision of a judge, newest first."""

    serializer_class = shapes.RevisionRunSerializer
    queryset = RevisionRun.objects.none()

    def get_queryset(self) -> QuerySet[RevisionRun]:
        project = _project(self.request, self.kwargs["project_id"])
        judge = selectors.judge_for(project, self.kwargs["pk"])
        return selectors.revision_runs_of(project).filter(judge=judge)

    @extend_schema(
        request=shapes.NewRevisionRunSerializer, responses={201: shapes.RevisionRunSerializer}
    )
    def post(self, request: Request, project_id: int, pk: int, *_args: Any) -> Response:
        """Let the judge's model criticize candidates of policies and write them anew."""
        project = _project(request, project_id)  # Any: DRF's
        judge = selectors.judge_for(project, pk)
        fields = sent_fields(shapes.NewRevisionRunSerializer, request)
        source = fields.pop("policy", None)
        run = revising.request_revisions(
            judge=judge,
            source=None if source is None else model_for(project, source),
            actor=person(request),
            **fields,
        )
        return Response(shapes.RevisionRunSerializer(run).data, status=status.HTTP_201_CREATED)


def _revision_run(request: Request, project_id: int, pk: int) -> RevisionRun:
    project = _project(request, project_id)
    return selectors.run_for(project, selectors.revision_runs_of(project), pk)


class RevisionRunDetail(APIView):
    """One run of critique and revision."""

    @extend_schema(responses=shapes.RevisionRunSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        return Response(shapes.RevisionRunSerializer(_revision_run(request, project_id, pk)).data)


class RevisionRunCancel(APIView):
    """Stop a run of critique and revision."""

    @extend_schema(request=None, responses=shapes.RevisionRunSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """What was written stays; the run can be resumed."""
        run = _revision_run(request, project_id, pk)
        hearing.cancel(run=run, actor=person(request))
        return Response(shapes.RevisionRunSerializer(run).data)


class RevisionRunResume(APIView):
    """Go on with a run of critique and revision."""

    @extend_schema(request=None, responses=shapes.RevisionRunSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Only the candidates that lack a revision are asked about."""
        run = _revision_run(request, project_id, pk)
        hearing.resume(run=run, left=selectors.unrevised(run).count(), actor=person(request))
        return Response(shapes.RevisionRunSerializer(run).data)


class RevisionList(generics.ListAPIView[Revision]):
    """What came of a run: critiques and texts, newest first."""

    serializer_class = shapes.RevisionSerializer
    queryset = Revision.objects.none()

    def get_queryset(self) -> QuerySet[Revision]:
        run = _revision_run(self.request, self.kwargs["project_id"], self.kwargs["pk"])
        return selectors.revisions_of(run)
