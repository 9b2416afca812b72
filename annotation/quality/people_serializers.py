"""Shapes of gold, exam, adjudication, rules, disputes and acts in the API."""

from typing import Any

from rest_framework import serializers

from annotation.comparisons.models import Exam, Flag, GoldItem
from annotation.projects.models import Project
from annotation.quality.asking import SETTINGS
from annotation.quality.models import Adjudication, Dispute, LabelerAct, Rule
from annotation.quality.next_comparisons import COUNT_MAX
from annotation.quality.previews import TRIED


class TiersField(serializers.ListField):
    """Tiers of candidate ids, best first."""

    child = serializers.ListField(child=serializers.IntegerField(min_value=1), max_length=9)


class GoldItemSerializer(serializers.ModelSerializer[GoldItem]):
    comparison = serializers.IntegerField(source="pk")
    known = serializers.JSONField(source="comparison.known_ranking")

    class Meta:
        model = GoldItem
        fields = [
            "comparison",
            "known",
            "origin",
            "note",
            "created_at",
            "retired_at",
            "retire_reason",
        ]


class NewGoldSerializer(serializers.Serializer[Any]):
    """A comparison and its known ranking; an empty one says that all are bad."""

    comparison = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    ranking = TiersField(max_length=9)
    note = serializers.CharField(max_length=1000, default="", allow_blank=True)


class GoldStateSerializer(serializers.Serializer[Any]):
    is_retired = serializers.BooleanField()
    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class ExamSerializer(serializers.ModelSerializer[Exam]):
    class Meta:
        model = Exam
        fields = ["poor", "good", "false_pass", "false_fail", "attempts_max", "retake_after_hours"]


class AdjudicationSerializer(serializers.ModelSerializer[Adjudication]):
    created_by = serializers.CharField(source="created_by.username", default=None)

    class Meta:
        model = Adjudication
        fields = [
            "id",
            "comparison",
            "cause",
            "ranking",
            "strengths",
            "is_all_bad",
            "note",
            "created_by",
            "created_at",
            "undone_at",
        ]


class AskedMoreSerializer(serializers.Serializer[Any]):
    """The batch in which one more label is asked for."""

    batch = serializers.IntegerField()


class NextComparisonsSerializer(serializers.Serializer[Any]):
    comparisons = serializers.IntegerField(min_value=1, max_value=COUNT_MAX)


class NextDrawnSerializer(serializers.Serializer[Any]):
    """The batch that was made, and how many comparisons could be drawn."""

    batch = serializers.IntegerField()
    comparisons = serializers.IntegerField()


class NewAdjudicationSerializer(serializers.Serializer[Any]):
    comparison = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    cause = serializers.ChoiceField(choices=Adjudication.Cause.choices)
    ranking = TiersField(max_length=9, default=list)
    strengths = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=3), max_length=8, default=list
    )
    is_all_bad = serializers.BooleanField(default=False)
    note = serializers.CharField(max_length=1000, default="", allow_blank=True)


class RuleSerializer(serializers.ModelSerializer[Rule]):
    """The newest version of a rule; `found` are the labelers it concerns now."""

    created_by = serializers.CharField(source="created_by.username", default=None)

    class Meta:
        model = Rule
        fields = [
            "series",
            "version",
            "kind",
            "params",
            "is_on",
            "reason",
            "found",
            "dry_run",
            "created_by",
            "created_at",
        ]


class TryRuleSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=Rule.Kind.choices)
    params = serializers.DictField(child=serializers.JSONField(allow_null=True))
    series = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Of the rule to change."
    )


class NewRuleSerializer(TryRuleSerializer):
    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class DryRunSerializer(serializers.Serializer[Any]):
    """What a rule would do to everything judged so far, beside the rules that are on."""

    judgments = serializers.IntegerField()
    judgments_dropped = serializers.IntegerField()
    judgments_added = serializers.IntegerField(help_text="Of a machine judge that would count.")
    preferences = serializers.IntegerField(
        help_text="Pairs with a vote now: the sum of the next six."
    )
    preferences_kept = serializers.IntegerField()
    preferences_flipped = serializers.IntegerField(help_text="The other response leads.")
    preferences_evened = serializers.IntegerField(help_text="A response led, and none does.")
    preferences_decided = serializers.IntegerField(help_text="None led, and a response does.")
    preferences_bad = serializers.IntegerField(help_text="All bad came to lead, or leads no more.")
    preferences_lost = serializers.IntegerField(help_text="Pairs that no vote is left for.")
    preferences_gained = serializers.IntegerField(help_text="Pairs that no vote counts for now.")
    labelers_left_out = serializers.ListField(child=serializers.IntegerField())
    labelers_paused = serializers.ListField(child=serializers.IntegerField())
    machines_counted = serializers.ListField(child=serializers.IntegerField())


class TryEarlyStopSerializer(serializers.Serializer[Any]):
    agreeing = serializers.IntegerField(
        min_value=2, max_value=50, help_text="So many equal verdicts end a comparison."
    )


class EarlyStopSerializer(TryEarlyStopSerializer):
    """What early stop would have done to the comparisons that got more judgments than `agreeing`."""

    comparisons = serializers.IntegerField(help_text="With more judgments than that.")
    stopped = serializers.IntegerField(help_text="Of these.")
    judgments = serializers.IntegerField(help_text="Of all comparisons.")
    judgments_saved = serializers.IntegerField()
    overruled = serializers.IntegerField(
        help_text="Stopped, though later judgments put another verdict level or ahead."
    )


class TryAskingSerializer(serializers.ModelSerializer[Project]):
    """Settings of the project as they shall be tried; what is left out stays as it is."""

    class Meta:
        model = Project
        fields = SETTINGS


class AskedLabelsSerializer(serializers.Serializer[Any]):
    """What was asked so far, beside what the settings would have asked of the same comparisons and answers."""

    overlap = serializers.IntegerField(help_text="Labels of a drawn comparison, as tried.")
    comparisons = serializers.IntegerField(help_text="Judged, gold apart.")
    labels = serializers.IntegerField()
    labels_wanted = serializers.IntegerField()
    shared = serializers.IntegerField(help_text="Comparisons that two people or more judged.")
    shared_wanted = serializers.IntegerField()
    answers = serializers.IntegerField(help_text="Of people, given here; gold and repeats too.")
    gold = serializers.IntegerField()
    gold_wanted = serializers.IntegerField()
    repeats = serializers.IntegerField()
    repeats_wanted = serializers.IntegerField()
    quick = serializers.IntegerField(help_text="Answers under the shortest reading time.")


class SwitchRuleSerializer(serializers.Serializer[Any]):
    is_on = serializers.BooleanField()


class DisputeSerializer(serializers.ModelSerializer[Dispute]):
    labeler = serializers.CharField(source="labeler.username")

    class Meta:
        model = Dispute
        fields = [
            "id",
            "labeler",
            "subject",
            "subject_id",
            "text",
            "state",
            "answer",
            "created_at",
            "answered_at",
        ]


class NewDisputeSerializer(serializers.Serializer[Any]):
    subject = serializers.ChoiceField(choices=Dispute.Subject.choices)
    subject_id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    text = serializers.CharField(max_length=2000)


class AnswerDisputeSerializer(serializers.Serializer[Any]):
    """An answer; the state "open" takes it back."""

    state = serializers.ChoiceField(choices=Dispute.State.choices)
    answer = serializers.CharField(max_length=2000, default="", allow_blank=True)
    is_remedied = serializers.BooleanField(default=False)


class ActSerializer(serializers.ModelSerializer[LabelerAct]):
    created_by = serializers.CharField(source="created_by.username", default=None)

    class Meta:
        model = LabelerAct
        fields = ["id", "kind", "text", "created_by", "created_at", "read_at", "undone_at"]


class NewActSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=LabelerAct.Kind.choices)
    text = serializers.CharField(max_length=1000)


class TryActSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[one.value for one in TRIED])


class ExamReplaySerializer(serializers.Serializer[Any]):
    """The entry exam held on gold answers of real work."""

    answers = serializers.IntegerField()
    right = serializers.IntegerField()
    has_passed = serializers.BooleanField(allow_null=True, help_text="Null: not decided by them.")
    decided_after = serializers.IntegerField(allow_null=True)


class ActPreviewSerializer(serializers.Serializer[Any]):
    """History as if the act had been done so many days ago."""

    kind = serializers.CharField()
    days = serializers.IntegerField()
    judgments = serializers.IntegerField(help_text="Of everybody who counts, in these days.")
    judgments_theirs = serializers.IntegerField()
    in_hand = serializers.IntegerField(help_text="Comparisons leased to them now.")
    dry_run = DryRunSerializer()
    exam = ExamReplaySerializer(allow_null=True)


class StatisticSerializer(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    n = serializers.IntegerField()
    reason = serializers.CharField(allow_null=True)


class ConcernSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    detail = serializers.CharField()


class DaySerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    judgments = serializers.IntegerField()
    hours = serializers.FloatField()


class MyFlagSerializer(serializers.ModelSerializer[Flag]):
    """What a labeler told the admins, and what they answered."""

    class Meta:
        model = Flag
        fields = ("id", "comparison", "note", "answer", "created_at", "resolved_at")
        read_only_fields = fields


class MyWorkSerializer(serializers.Serializer[Any]):
    """A labeler's own numbers; each statistic is `{value, interval, n, reason}`."""

    judgments = serializers.IntegerField()
    hours = serializers.FloatField()
    gold = StatisticSerializer()
    training = StatisticSerializer()
    repeats_same = StatisticSerializer()
    repeats_followed_side = serializers.IntegerField()
    with_others = StatisticSerializer()
    left = StatisticSerializer()
    fast_accuracy = StatisticSerializer()
    fast_seconds = serializers.FloatField()
    concerns = ConcernSerializer(many=True)
    days = DaySerializer(many=True)
    flags = MyFlagSerializer(many=True)
