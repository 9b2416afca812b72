"""API of gold, the entry exam, adjudication, rules, disputes, acts on labelers, and a labeler's own numbers."""

from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotation.accounts.authentication import person
from annotation.accounts.zones import zone_of
from annotation.comparisons.exams import exam_of
from annotation.comparisons.models import GoldItem
from annotation.comparisons.selectors import comparison_of
from annotation.comparisons.services.again import ask_one_more, undo_one_more
from annotation.core.api import sent_fields
from annotation.projects.models import Project, Role
from annotation.projects.selectors import project_for
from annotation.quality import acts, adjudication, disputes, exams, gold, mine, numbers, rules
from annotation.quality import people_serializers as shapes
from annotation.quality.adjudication import Verdict
from annotation.quality.asking import try_asking
from annotation.quality.models import Adjudication, Dispute, LabelerAct
from annotation.quality.next_comparisons import ask_next
from annotation.quality.previews import preview_of
from annotation.quality.scope import COMPARISON_FILTERS, DISPUTE_FILTERS, RULE_FILTERS, Scope
from annotation.quality.selectors import refuse_unknown
from annotation.quality.serializers import filters

READERS = (Role.ADMIN, Role.ENGINEER)
CREATED = status.HTTP_201_CREATED
Data = dict[str, Any]  # Any: JSON
STATE = OpenApiParameter("state", str, enum=list(Dispute.State.values))


def _narrowed(request: Request, project: Project, names: Collection[str], what: str) -> Scope:
    """The filters of the address; InvalidInput where one is set that there is not, or names what is not there."""
    scope = Scope.of(request).having_only(names, what=what)
    refuse_unknown(project, scope)
    return scope


class GoldList(generics.ListAPIView[GoldItem]):
    """Gold of a project, the newest first."""

    serializer_class = shapes.GoldItemSerializer
    queryset = GoldItem.objects.none()
    filter_names = COMPARISON_FILTERS

    def get_queryset(self) -> QuerySet[GoldItem]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        return gold.gold_items(
            project, _narrowed(self.request, project, COMPARISON_FILTERS, "Gold items")
        )

    @extend_schema(parameters=[filters(COMPARISON_FILTERS)])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's own
        return super().get(request, *args, **kwargs)

    @extend_schema(request=shapes.NewGoldSerializer, responses={201: shapes.GoldItemSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Make a comparison gold, or correct the known answer of one that is."""
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.NewGoldSerializer, request)
        gold.mark_gold(
            comparison=comparison_of(project=project, pk=data["comparison"]),
            known_ranking=data["ranking"],
            note=data["note"],
            actor=person(request),
        )
        item = gold.gold_item(project, data["comparison"])
        return Response(shapes.GoldItemSerializer(item).data, status=CREATED)


class GoldDetail(APIView):
    """One gold comparison: retire it or restore it; delete makes it ordinary again."""

    @extend_schema(request=shapes.GoldStateSerializer, responses=shapes.GoldItemSerializer)
    def patch(self, request: Request, project_id: int, comparison_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.GoldStateSerializer, request)
        item, actor = gold.gold_item(project, comparison_id), person(request)
        if data["is_retired"]:
            item = gold.retire_gold(item=item, reason=data["reason"], actor=actor)
        else:
            item = gold.restore_gold(item=item, actor=actor)
        return Response(shapes.GoldItemSerializer(item).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, comparison_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        gold.unmark_gold(item=gold.gold_item(project, comparison_id), actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExamDetail(APIView):
    """How the entry exam decides."""

    @extend_schema(responses=shapes.ExamSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        return Response(shapes.ExamSerializer(exam_of(project)).data)

    @extend_schema(request=shapes.ExamSerializer, responses=shapes.ExamSerializer)
    def patch(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.ExamSerializer, request, partial=True)
        exam = exams.set_exam(project=project, actor=person(request), **data)
        return Response(shapes.ExamSerializer(exam).data)


class AdjudicationList(generics.ListAPIView[Adjudication]):
    """The adjudications that stand, the newest first."""

    serializer_class = shapes.AdjudicationSerializer
    queryset = Adjudication.objects.none()

    def get_queryset(self) -> QuerySet[Adjudication]:
        project = project_for(self.request.user, self.kwargs["project_id"], *READERS)
        return adjudication.standing_adjudications(project)

    @extend_schema(
        request=shapes.NewAdjudicationSerializer, responses={201: shapes.AdjudicationSerializer}
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Decide a comparison; with the cause "subjective" the votes stay the label."""
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.NewAdjudicationSerializer, request)
        made = adjudication.adjudicate(
            comparison=comparison_of(project=project, pk=data["comparison"]),
            cause=data["cause"],
            verdict=Verdict(
                ranking=data["ranking"],
                strengths=data["strengths"],
                is_all_bad=data["is_all_bad"],
            ),
            note=data["note"],
            actor=person(request),
        )
        return Response(shapes.AdjudicationSerializer(made).data, status=CREATED)


class AdjudicationDetail(APIView):
    """Delete takes a verdict back; the row stays, marked as undone. One that it took the place of stands again."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        made = adjudication.adjudication_of(project, pk)
        adjudication.undo_adjudication(made=made, actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ComparisonAsking(APIView):
    """Ask for one more label on a comparison that is judged."""

    @extend_schema(request=None, responses={201: shapes.AskedMoreSerializer})
    def post(self, request: Request, project_id: int, comparison_id: int) -> Response:
        """Put it into the open batch of those asked so, which is told; `DELETE` takes it back while nobody has it."""
        project = project_for(request.user, project_id, Role.ADMIN)
        row = comparison_of(project=project, pk=comparison_id)
        batch = ask_one_more(comparison=row, actor=person(request))
        return Response(shapes.AskedMoreSerializer({"batch": batch.pk}).data, status=CREATED)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, comparison_id: int) -> Response:
        """Take the label back that was asked for; 409 where somebody has the comparison, or none is waited for."""
        project = project_for(request.user, project_id, Role.ADMIN)
        row = comparison_of(project=project, pk=comparison_id)
        undo_one_more(comparison=row, actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class NextComparisons(APIView):
    """New comparisons between policies, drawn by what one verdict tells of their strengths, a fifth evenly."""

    @extend_schema(
        request=shapes.NextComparisonsSerializer, responses={201: shapes.NextDrawnSerializer}
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Make a batch of so many, or of as many as there are; each comparison keeps its `propensity`."""
        project = project_for(request.user, project_id, Role.ADMIN)
        count = sent_fields(shapes.NextComparisonsSerializer, request)["comparisons"]
        batch = ask_next(project=project, count=count, actor=person(request))
        made = {"batch": batch.pk, "comparisons": batch.comparisons.count()}
        return Response(shapes.NextDrawnSerializer(made).data, status=CREATED)


class RuleList(APIView):
    """The newest version of every rule; the filters choose by when it was saved and whom it concerns now."""

    @extend_schema(parameters=[filters(RULE_FILTERS)], responses=shapes.RuleSerializer(many=True))
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        scope = _narrowed(request, project, RULE_FILTERS, "Rules")
        return Response(shapes.RuleSerializer(rules.rules_within(project, scope), many=True).data)

    @extend_schema(request=shapes.NewRuleSerializer, responses={201: shapes.RuleSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Add a rule, or the next version of one; its dry run is stored with it."""
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.NewRuleSerializer, request)
        rule = rules.save_rule(project=project, actor=person(request), **data)
        return Response(shapes.RuleSerializer(rule).data, status=CREATED)


class RuleDryRun(APIView):
    """What a rule would do to everything judged so far; nothing is written."""

    @extend_schema(request=shapes.TryRuleSerializer, responses=shapes.DryRunSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.TryRuleSerializer, request)
        return Response(rules.dry_run(project=project, **data).as_json())


class EarlyStopDryRun(APIView):
    """What the setting `stop_when_agreeing` would have done to everything judged so far; nothing is written."""

    @extend_schema(request=shapes.TryEarlyStopSerializer, responses=shapes.EarlyStopSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.TryEarlyStopSerializer, request)
        tried = rules.try_early_stop(project=project, **data)
        return Response(shapes.EarlyStopSerializer(tried).data)


class AskingDryRun(APIView):
    """What overlap, gold, repeats and reading time would have asked of everything judged so far; nothing is written."""

    @extend_schema(request=shapes.TryAskingSerializer, responses=shapes.AskedLabelsSerializer)
    def post(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        settings = sent_fields(shapes.TryAskingSerializer, request)
        asked = try_asking(project=project, settings=settings)
        return Response(shapes.AskedLabelsSerializer(asked).data)


class RuleDetail(APIView):
    """Every version of one rule, the newest first; a patch switches it on or off."""

    @extend_schema(
        operation_id="projects_agreement_rule_versions_list",
        responses=shapes.RuleSerializer(many=True),
    )
    def get(self, request: Request, project_id: int, series: int) -> Response:
        project = project_for(request.user, project_id, *READERS)
        rules.rule_of(project, series)
        return Response(shapes.RuleSerializer(rules.versions_of(project, series), many=True).data)

    @extend_schema(request=shapes.SwitchRuleSerializer, responses=shapes.RuleSerializer)
    def patch(self, request: Request, project_id: int, series: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.SwitchRuleSerializer, request)
        rule = rules.switch_rule(
            project=project, series=series, is_on=data["is_on"], actor=person(request)
        )
        return Response(shapes.RuleSerializer(rule).data)


class DisputeList(generics.ListAPIView[Dispute]):
    """What labelers appeal, the newest first."""

    serializer_class = shapes.DisputeSerializer
    queryset = Dispute.objects.none()
    filter_names = ("state", *DISPUTE_FILTERS)

    def get_queryset(self) -> QuerySet[Dispute]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        scope = _narrowed(self.request, project, DISPUTE_FILTERS, "Disputes")
        return disputes.disputes_of(project, state=self.request.GET.get("state", ""), scope=scope)

    @extend_schema(parameters=[STATE, filters(DISPUTE_FILTERS)])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # Any: DRF's own
        return super().get(request, *args, **kwargs)


class DisputeDetail(APIView):
    """Answer a dispute, or open it again."""

    @extend_schema(request=shapes.AnswerDisputeSerializer, responses=shapes.DisputeSerializer)
    def patch(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.AnswerDisputeSerializer, request)
        dispute, actor = disputes.dispute_of(project, pk), person(request)
        if data["state"] == Dispute.State.OPEN:
            dispute = disputes.reopen_dispute(dispute=dispute, actor=actor)
        else:
            dispute = disputes.answer_dispute(
                dispute=dispute,
                is_upheld=data["state"] == Dispute.State.UPHELD,
                answer=data["answer"],
                is_remedied=data["is_remedied"],
                actor=actor,
            )
        return Response(shapes.DisputeSerializer(dispute).data)


class ActList(generics.ListAPIView[LabelerAct]):
    """What was done about one labeler, the newest first."""

    serializer_class = shapes.ActSerializer
    queryset = LabelerAct.objects.none()

    def get_queryset(self) -> QuerySet[LabelerAct]:
        project = project_for(self.request.user, self.kwargs["project_id"], Role.ADMIN)
        return acts.acts_on(project, acts.judge_of(project, self.kwargs["labeler_id"]).user_id)

    @extend_schema(request=shapes.NewActSerializer, responses={201: shapes.ActSerializer})
    def post(self, request: Request, project_id: int, labeler_id: int) -> Response:
        """Send a message, pause, resume, retrain or qualify, with a text that the labeler reads."""
        project = project_for(request.user, project_id, Role.ADMIN)
        data = sent_fields(shapes.NewActSerializer, request)
        member = acts.labeler_of(project, labeler_id)
        done = acts.act(member=member, actor=person(request), **data)
        return Response(shapes.ActSerializer(done).data, status=CREATED)


class ActDryRun(APIView):
    """What a pause or retraining would mean, by what was judged so far; nothing is written."""

    @extend_schema(request=shapes.TryActSerializer, responses=shapes.ActPreviewSerializer)
    def post(self, request: Request, project_id: int, labeler_id: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        member = acts.labeler_of(project, labeler_id)
        kind = sent_fields(shapes.TryActSerializer, request)["kind"]
        found = preview_of(member=member, kind=kind)
        return Response(shapes.ActPreviewSerializer(found).data)


class ActDetail(APIView):
    """Delete undoes an act; the row stays, marked as undone."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, project_id: int, pk: int) -> Response:
        project = project_for(request.user, project_id, Role.ADMIN)
        acts.undo_act(done=acts.act_of(project, pk), actor=person(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MyWork(APIView):
    """A labeler's own numbers and hours."""

    @extend_schema(responses=shapes.MyWorkSerializer)
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.LABELER)
        me = person(request)
        found = numbers.own_numbers(project, me)
        statistics = ("gold", "training", "with_others", "left", "fast_accuracy")
        return Response(
            {
                "judgments": found.judgments,
                "hours": found.hours,
                **{name: getattr(found, name).as_json() for name in statistics},
                "repeats_same": found.repeats.same.as_json(),
                "repeats_followed_side": found.repeats.followed_side,
                "fast_seconds": found.fast_seconds,
                "concerns": shapes.ConcernSerializer(found.concerns, many=True).data,
                "days": shapes.DaySerializer(
                    numbers.days_of(project, me.pk, zone=zone_of(me)), many=True
                ).data,
                "flags": shapes.MyFlagSerializer(
                    [one.flag for one in mine.flagged(project, me.pk)], many=True
                ).data,
            }
        )


class MyDisputes(APIView):
    """A labeler's own appeals."""

    @extend_schema(responses=shapes.DisputeSerializer(many=True))
    def get(self, request: Request, project_id: int) -> Response:
        project = project_for(request.user, project_id, Role.LABELER)
        rows = disputes.disputes_of(project).filter(labeler=person(request))[:200]
        return Response(shapes.DisputeSerializer(rows, many=True).data)

    @extend_schema(request=shapes.NewDisputeSerializer, responses={201: shapes.DisputeSerializer})
    def post(self, request: Request, project_id: int) -> Response:
        """Appeal an adjudication, a training answer, an exclusion or a pause."""
        project = project_for(request.user, project_id, Role.LABELER)
        data = sent_fields(shapes.NewDisputeSerializer, request)
        row = disputes.open_dispute(project=project, labeler=person(request), **data)
        return Response(shapes.DisputeSerializer(row).data, status=CREATED)
