"""API of batches."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.comparisons import batches
from annotation.comparisons.models import Batch
from annotation.comparisons.services import again
from annotation.comparisons.services import batches as services
from annotation.comparisons.services.pairing import Strategy
from annotation.comparisons.services.queue import languages_of
from annotation.comparisons.stations import station_of
from annotation.core.api import sent_fields
from annotation.projects.models import Role
from annotation.projects.selectors import project_for

CHOSEN = ("tag", "category", "language", "prompt_import", "generation_run")


class BatchSerializer(serializers.ModelSerializer[Batch]):
    comparisons_all = serializers.IntegerField(read_only=True)
    comparisons_judged = serializers.IntegerField(read_only=True)
    labels_wanted = serializers.IntegerField(read_only=True)
    labels_given = serializers.IntegerField(read_only=True)
    made_from = serializers.DictField(read_only=True)

    class Meta:
        model = Batch
        fields = (
            "id",
            "name",
            "priority",
            "deadline",
            "state",
            "made_from",
            "comparisons_all",
            "comparisons_judged",
            "labels_wanted",
            "labels_given",
            "created_at",
        )
        read_only_fields = ("created_at",)
        extra_kwargs = {"priority": {"min_value": -100, "max_value": 100}}


class BatchAtHandSerializer(serializers.Serializer[Any]):
    """The batch that you work on: its name, how many comparisons are judged by all, and how many there are.

    The name is empty where it would tell why these are asked again.
    """

    name = serializers.CharField()
    judged = serializers.IntegerField()
    total = serializers.IntegerField()


class AtHandSerializer(serializers.Serializer[Any]):
    batch = BatchAtHandSerializer(allow_null=True)
    deadline = serializers.DateTimeField(allow_null=True)


class NewBatchSerializer(serializers.Serializer[Any]):
    """A batch of the prompts that the filter names; what is left out does not narrow."""

    name = serializers.CharField(max_length=120)
    priority = serializers.IntegerField(min_value=-100, max_value=100, default=0)
    deadline = serializers.DateTimeField(required=False, allow_null=True)
    strategy = serializers.ChoiceField(choices=Strategy.values, required=False)
    tag = serializers.CharField(max_length=60, required=False)
    category = serializers.CharField(max_length=100, required=False)
    language = serializers.CharField(max_length=12, required=False)
    prompt_import = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)
    generation_run = serializers.IntegerField(min_value=1, max_value=2**63 - 1, required=False)


class BatchList(APIView):
    """The batches of a project."""

    @extend_schema(responses=BatchSerializer(many=True))
    def get(self, request: Request, project_id: int) -> Response:
        """Open ones first, by priority; the newest 200."""
        project = project_for(request.user, project_id, Role.ADMIN)
        return Response(BatchSerializer(batches.batches_of(project)[:200], many=True).data)

    @extend_schema(request=NewBatchSerializer, responses={201: BatchSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Gather the free comparisons of the chosen prompts, and make those that lack."""
        project = project_for(request.user, project_id, Role.ADMIN)
        fields = sent_fields(NewBatchSerializer, request)
        chosen = services.Chosen(**{name: fields.pop(name) for name in CHOSEN if name in fields})
        batch = services.create_batch(
            project=project, chosen=chosen, actor=person(request), **fields
        )
        body = BatchSerializer(batches.batch_of(project, batch.pk)).data
        return Response(body, status=status.HTTP_201_CREATED)


class BatchDetail(APIView):
    """One batch."""

    @extend_schema(responses=BatchSerializer)
    def get(self, request: Request, project_id: int, batch_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        return Response(BatchSerializer(batches.batch_of(project, batch_id)).data)

    @extend_schema(request=BatchSerializer, responses=BatchSerializer)
    def patch(self, request: Request, project_id: int, batch_id: int) -> Response:
        """Rename, move, date; set the state to open, paused or closed. What is left out stays."""
        project = project_for(request.user, project_id, Role.ADMIN)
        batch = batches.batch_of(project, batch_id)
        fields = sent_fields(BatchSerializer, request, partial=True)
        state = fields.pop("state", None)
        with transaction.atomic():  # a part that is refused leaves nothing
            if state is not None:
                services.set_state(batch=batch, state=state, actor=person(request))
            if fields:
                there = {name: getattr(batch, name) for name in ("name", "priority", "deadline")}
                services.update_batch(batch=batch, actor=person(request), **(there | fields))
        return Response(BatchSerializer(batches.batch_of(project, batch_id)).data)


class TakenBackSerializer(serializers.Serializer[Any]):
    comparisons = serializers.IntegerField()


class BatchAskedAgain(APIView):
    """What a batch asks again."""

    @extend_schema(responses=TakenBackSerializer)
    def delete(self, request: Request, project_id: int, batch_id: int) -> Response:
        """Take back the places that nobody has taken: how many these were. A batch that is empty then is removed."""
        project = project_for(request.user, project_id, Role.ADMIN)
        count = again.undo_asking(project=project, pk=batch_id, actor=person(request))
        return Response(TakenBackSerializer({"comparisons": count}).data)


class AtHand(APIView):
    """The labeler's batch."""

    @extend_schema(responses=AtHandSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        """The batch that you work on, as counted in the last minute, and when it or the project is due."""
        project = project_for(request.user, project_id, Role.LABELER)
        member = station_of(labeler=person(request), project_id=project.pk).member
        languages = languages_of(member)
        found = batches.batch_at_hand(
            project=project, labeler_id=member.user_id, languages=languages
        )
        due = batches.deadline_of(project, found)
        return Response(AtHandSerializer({"batch": found, "deadline": due}).data)
