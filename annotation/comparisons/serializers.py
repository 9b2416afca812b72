"""The shapes of the labeling API. Nothing here tells a labeler which model wrote what."""

from typing import Any

from rest_framework import serializers

from annotation.comparisons.models import Assignment, Comparison, Flag, Judgment
from annotation.comparisons.services.pairing import Strategy
from annotation.comparisons.verdicts import MARK_KINDS
from annotation.core.text import LAST_KEY
from annotation.prompts.serializers import TurnSerializer


class TiersField(serializers.ListField):
    """Tiers of candidate ids, best first."""

    child = serializers.ListField(child=serializers.IntegerField(min_value=1), max_length=9)

    def __init__(self, **options: Any) -> None:  # Any: DRF's own options
        super().__init__(max_length=9, **options)


class CriterionVerdictSerializer(serializers.Serializer[Any]):
    ranking = TiersField()
    strengths = serializers.ListField(child=serializers.IntegerField(), max_length=8)


class MarkSerializer(serializers.Serializer[Any]):
    """A phrase of a response: offsets in code points into its raw text."""

    candidate = serializers.IntegerField(min_value=1)
    start = serializers.IntegerField(min_value=0)
    end = serializers.IntegerField(min_value=1)
    kind = serializers.ChoiceField(choices=[(one, one) for one in MARK_KINDS])


class AnswerSerializer(serializers.Serializer[Any]):
    """One answer. The same client_uuid again gives the same judgment."""

    client_uuid = serializers.UUIDField()
    ranking = TiersField(default=list)
    strengths = serializers.ListField(child=serializers.IntegerField(), max_length=8, default=list)
    is_all_bad = serializers.BooleanField(default=False)
    criteria = serializers.DictField(child=CriterionVerdictSerializer(), default=dict)
    rationale = serializers.CharField(allow_blank=True, default="", max_length=10_000)
    marks = MarkSerializer(many=True, default=list)
    active_ms = serializers.IntegerField(min_value=0, default=0)
    age_ms = serializers.IntegerField(
        min_value=0, default=0, help_text="How long ago it was given, where it could not be sent."
    )
    guideline_version = serializers.IntegerField(
        min_value=0,
        required=False,
        allow_null=True,
        help_text="The version that was shown, 0 for none; left out, the newest.",
    )


class SentLater(serializers.Serializer[Any]):
    """An act that the page may have kept for a while."""

    age_ms = serializers.IntegerField(
        min_value=0, default=0, help_text="How long ago it was, where it could not be sent."
    )


class UndoSerializer(SentLater):
    """What: the judgment sent under this UUID, if it arrived, or the skip of this assignment; else your newest act."""

    client_uuid = serializers.UUIDField(required=False)
    assignment = serializers.IntegerField(min_value=1, max_value=LAST_KEY, required=False)


class SkipSerializer(SentLater):
    reason = serializers.ChoiceField(choices=Assignment.SkipReason.choices)
    active_ms = serializers.IntegerField(
        min_value=0, default=0, help_text="Milliseconds at work on it; no more than passed count."
    )


class ShownCandidateSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    text = serializers.CharField()


class LeaseSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    lease_until = serializers.DateTimeField()
    seconds_left = serializers.IntegerField()


class ShownLeaseSerializer(LeaseSerializer):
    """A lease on a comparison; candidates are in the order drawn for this labeler.

    `bench` is its HTML with `?bench=1`, else empty.
    """

    comparison = serializers.IntegerField()
    prompt = TurnSerializer(many=True)
    candidates = ShownCandidateSerializer(many=True)
    bench = serializers.CharField()


class FeedbackSerializer(serializers.Serializer[Any]):
    """After a training answer: the known verdict, and why it is right."""

    is_right = serializers.BooleanField()
    ranking = TiersField()
    is_all_bad = serializers.BooleanField()
    message = serializers.CharField()


class EmptySerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()
    message = serializers.CharField()
    ask_again_seconds = serializers.IntegerField()


class ProgressSerializer(serializers.Serializer[Any]):
    judged_today = serializers.IntegerField()
    remaining = serializers.IntegerField()
    is_more = serializers.BooleanField()


class JudgmentSerializer(serializers.ModelSerializer[Judgment]):
    """A judgment in candidate space."""

    class Meta:
        model = Judgment
        fields = (
            "id",
            "comparison",
            "labeler",
            "guideline",
            "client_uuid",
            "ranking",
            "strengths",
            "is_all_bad",
            "criteria",
            "marks",
            "rationale",
            "active_ms",
            "elapsed_ms",
            "is_counted",
            "is_imported",
            "withdrawn_at",
            "created_at",
        )
        read_only_fields = fields


def told_judgment(judgment: Judgment, *, is_counted: bool) -> dict[str, Any]:  # Any: JSON
    """A judgment as its labeler is told of it; they are not told that it was gold or a repeat."""
    return {
        "id": judgment.pk,
        "comparison": judgment.comparison_id,
        "labeler": judgment.labeler_id,
        "guideline": judgment.guideline_id,
        "client_uuid": judgment.client_uuid,
        "ranking": judgment.ranking,
        "strengths": judgment.strengths,
        "is_all_bad": judgment.is_all_bad,
        "criteria": judgment.criteria,
        "marks": judgment.marks,
        "rationale": judgment.rationale,
        "active_ms": judgment.active_ms,
        "elapsed_ms": judgment.elapsed_ms,
        "is_counted": is_counted,
        "is_imported": judgment.is_imported,
        "withdrawn_at": judgment.withdrawn_at,
        "created_at": judgment.created_at,
    }


class NextSerializer(serializers.Serializer[Any]):
    """What to do next: leases to judge, or why there are none.

    `assignment` and `ahead` are the leases that the client does not name in `held`; `leases` are all, in the order to
    show them. `reopened` is the assignment that an undo opened again, `was_skipped` whether it was skipped, not judged;
    `guideline_version` the newest, 0 without one.
    """

    judgment = JudgmentSerializer(allow_null=True)
    message = serializers.CharField()
    feedback = FeedbackSerializer(allow_null=True)
    assignment = ShownLeaseSerializer(allow_null=True)
    ahead = ShownLeaseSerializer(many=True)
    leases = LeaseSerializer(many=True)
    empty = EmptySerializer(allow_null=True)
    progress = ProgressSerializer()
    reopened = serializers.IntegerField(allow_null=True)
    was_skipped = serializers.BooleanField()
    guideline_version = serializers.IntegerField()


class FlagNoteSerializer(SentLater):
    note = serializers.CharField(max_length=1000)


class FlagAnswerSerializer(serializers.Serializer[Any]):
    answer = serializers.CharField(max_length=1000, required=False, allow_blank=True)


class FlagSerializer(serializers.ModelSerializer[Flag]):
    """A labeler's note about a comparison."""

    class Meta:
        model = Flag
        fields = (
            "id",
            "comparison",
            "labeler",
            "note",
            "answer",
            "created_at",
            "resolved_by",
            "resolved_at",
        )
        read_only_fields = fields


class DiffSerializer(serializers.Serializer[Any]):
    """HTML of each candidate with what only it has marked; null where they are too different."""

    candidates = serializers.DictField(child=serializers.CharField(), allow_null=True)


class ComparisonSerializer(serializers.ModelSerializer[Comparison]):
    class Meta:
        model = Comparison
        fields = (
            "id",
            "prompt",
            "candidate_ids",
            "kind",
            "state",
            "priority",
            "overlap",
            "slots_taken",
            "judgments_counted",
            "propensity",
            "created_at",
        )
        read_only_fields = fields


class PairPromptSerializer(serializers.Serializer[Any]):
    """Make the comparisons of one prompt's candidates. Without a strategy the project's is taken."""

    prompt = serializers.IntegerField()
    strategy = serializers.ChoiceField(choices=Strategy.values, required=False)
    overlap = serializers.IntegerField(min_value=1, max_value=50, required=False, allow_null=True)


class PairWaitingSerializer(serializers.Serializer[Any]):
    """Make the comparisons of every prompt that waits. Without a strategy the project's is taken."""

    strategy = serializers.ChoiceField(choices=Strategy.values, required=False)


class PairedSerializer(serializers.Serializer[Any]):
    made = serializers.IntegerField()
    prompts_waiting = serializers.IntegerField(help_text="Counted up to 10,000.")


class ComparisonStateSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=[Comparison.State.OPEN, Comparison.State.CLOSED])
