"""API of generation: runs, candidates, the playground."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.core.api import sent_fields
from annotation.generation import selectors, services
from annotation.generation.models import Candidate, GenerationRun, PlaygroundRun
from annotation.generation.serializers import (
    CandidateSerializer,
    CutPromptSerializer,
    FailureSerializer,
    GenerationRunSerializer,
    PlaygroundSerializer,
    RunDetailSerializer,
    RunFactsSerializer,
    RunRequestSerializer,
)
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.registry.selectors import model_for

ASKERS = (Role.ADMIN, Role.ENGINEER)


class RunList(generics.ListAPIView[GenerationRun]):
    """Generation runs, newest first."""

    serializer_class = GenerationRunSerializer
    queryset = GenerationRun.objects.none()

    def get_queryset(self) -> QuerySet[GenerationRun]:
        user, project_id = person(self.request), self.kwargs["project_id"]
        return selectors.runs_of(project_for(user, project_id, *ASKERS))

    @extend_schema(request=RunRequestSerializer, responses={201: GenerationRunSerializer})
    def post(self, request: Request, project_id: int, *_args: Any) -> Response:  # Any: DRF's
        """Ask a policy for candidates."""
        project = project_for(person(request), project_id, *ASKERS)
        sent = sent_fields(RunRequestSerializer, request)
        policy_id = sent.pop("policy", None)
        policy = model_for(project, policy_id) if policy_id is not None else None
        run = services.request_candidates(
            project=project, policy=policy, actor=person(request), **sent
        )
        return Response(GenerationRunSerializer(run).data, status=status.HTTP_201_CREATED)


class RunDetail(APIView):
    """One generation run."""

    @extend_schema(responses=RunDetailSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        """The run, its counts, its rate, and the newest prompts that failed or were not read whole."""
        run = selectors.run_for(project_for(person(request), project_id, *ASKERS), pk)
        body = {
            **GenerationRunSerializer(run).data,
            "facts": RunFactsSerializer(selectors.facts_of(run)).data,
            "failed_prompts": FailureSerializer(selectors.failures_of(run), many=True).data,
            "cut_prompts": CutPromptSerializer(selectors.cuts_of(run), many=True).data,
        }
        return Response(body)


class RunCancel(APIView):
    """Stop a generation run."""

    @extend_schema(request=None, responses=GenerationRunSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """What is stored stays; the run can be resumed."""
        run = selectors.run_for(project_for(person(request), project_id, *ASKERS), pk)
        run = services.cancel(run=run, actor=person(request))
        return Response(GenerationRunSerializer(run).data)


class RunResume(APIView):
    """Go on with a generation run that ended early or with failures."""

    @extend_schema(request=None, responses=GenerationRunSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """Only the prompts that lack candidates are asked."""
        run = selectors.run_for(project_for(person(request), project_id, *ASKERS), pk)
        run = services.resume(run=run, actor=person(request))
        return Response(GenerationRunSerializer(run).data)


class CandidateList(generics.ListAPIView[Candidate]):
    """The candidates of a prompt, newest first."""

    serializer_class = CandidateSerializer
    queryset = Candidate.objects.none()

    def get_queryset(self) -> QuerySet[Candidate]:
        project = project_for(person(self.request), self.kwargs["project_id"], *ASKERS)
        prompt = selectors.prompt_for(project, self.kwargs["pk"])
        return selectors.candidates_of(project, prompt)


class PlaygroundList(generics.ListAPIView[PlaygroundRun]):
    """Playground runs, newest first."""

    serializer_class = PlaygroundSerializer
    queryset = PlaygroundRun.objects.none()

    def get_queryset(self) -> QuerySet[PlaygroundRun]:
        project = project_for(person(self.request), self.kwargs["project_id"], Role.ENGINEER)
        return selectors.playground_runs_of(project)

    @extend_schema(request=PlaygroundSerializer, responses={201: PlaygroundSerializer})
    def post(self, request: Request, project_id: int, *_args: Any) -> Response:  # Any: DRF's
        """Let up to four policies answer one prompt, and a reward model score them."""
        project = project_for(person(request), project_id, Role.ENGINEER)
        sent = sent_fields(PlaygroundSerializer, request)
        run = _played(project, request, sent)
        return Response(PlaygroundSerializer(run).data, status=status.HTTP_201_CREATED)


class PlaygroundDetail(APIView):
    """One playground run."""

    @extend_schema(responses=PlaygroundSerializer)
    def get(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(person(request), project_id, Role.ENGINEER)
        return Response(PlaygroundSerializer(selectors.playground_run_for(project, pk)).data)


class PlaygroundCancel(APIView):
    """Stop a playground run."""

    @extend_schema(request=None, responses=PlaygroundSerializer)
    def post(self, request: Request, project_id: int, pk: int) -> Response:
        """What was answered stays."""
        project = project_for(person(request), project_id, Role.ENGINEER)
        run = selectors.playground_run_for(project, pk)
        run = services.cancel_playground(run=run, actor=person(request))
        return Response(PlaygroundSerializer(run).data)


def _played(project: Project, request: Request, sent: dict[str, Any]) -> PlaygroundRun:  # Any: JSON
    policies = [model_for(project, pk) for pk in sent.pop("policy_ids")]
    reward_id = sent.pop("reward_model_id")
    return services.request_playground(
        project=project,
        policies=policies,
        reward_model=model_for(project, reward_id) if reward_id is not None else None,
        actor=person(request),
        **sent,
    )
