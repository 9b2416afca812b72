"""Shapes of machine judges in the API."""

from rest_framework import serializers

from annotation.core.places import QueuePlaceField
from annotation.judges.models import (
    Constitution,
    Hearing,
    Judge,
    JudgeRun,
    Revision,
    RevisionRun,
)
from annotation.judges.report import JudgeReport
from annotation.judges.selectors import HearingFacts

JOB_FIELDS = ["status", "error", "progress_done", "progress_total", "progress_unit", "created_at"]
JOB_FIELDS += ["started_at", "finished_at", "queue_place"]


class PrincipleSerializer(serializers.Serializer[dict[str, str]]):
    """One sentence that responses are judged by."""

    title = serializers.CharField()
    text = serializers.CharField()


class ConstitutionSerializer(serializers.ModelSerializer[Constitution]):
    """One version of the principles."""

    principles = PrincipleSerializer(many=True)

    class Meta:
        model = Constitution
        fields = ["id", "version", "principles", "created_at"]
        read_only_fields = ["version", "created_at"]


class JudgeSerializer(serializers.ModelSerializer[Judge]):
    """One machine judge; it never changes."""

    constitution_version = serializers.IntegerField(source="constitution.version")

    class Meta:
        model = Judge
        fields = [
            "id", "name", "labeler", "model", "constitution", "constitution_version", "style",
            "temperature", "repeats", "max_tokens", "seed", "created_at",
        ]  # fmt: skip


class NewJudgeSerializer(serializers.Serializer[Judge]):
    """What a judge is made of; only name and model must be sent."""

    name = serializers.CharField(max_length=80)
    model = serializers.IntegerField(help_text="Id of a policy.")
    constitution = serializers.IntegerField(
        required=False, help_text="Id of a constitution; without it the newest."
    )
    style = serializers.ChoiceField(  # type: ignore[assignment] # also a word of REST framework
        choices=Judge.Style.choices, default=Judge.Style.WORD
    )
    temperature = serializers.FloatField(default=0.0)
    repeats = serializers.IntegerField(default=1, help_text="Answers in each order.")
    max_tokens = serializers.IntegerField(default=0, help_text="0: what the style needs.")
    seed = serializers.IntegerField(default=17)


class JudgeStatisticSerializer(serializers.Serializer[dict[str, object]]):
    """A number with its 95 % interval and what it rests on; without a value, the reason."""

    value = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    n = serializers.IntegerField(help_text="Comparisons.")
    reason = serializers.CharField(allow_null=True)


class FactsSerializer(serializers.Serializer[HearingFacts]):
    """Hearings by how they ended."""

    judged = serializers.IntegerField()
    swayed = serializers.IntegerField()
    unparsed = serializers.IntegerField()
    cyclic = serializers.IntegerField()
    failed = serializers.IntegerField()


class AltTestSerializer(serializers.Serializer[dict[str, object]]):
    """May it replace people? The share of them that it may, how many were tested, and the pairs left undecided."""

    winning_rate = serializers.FloatField(allow_null=True)
    passes = serializers.BooleanField()
    people = serializers.IntegerField()
    reason = serializers.CharField()
    pairs = serializers.IntegerField()
    undecided = serializers.IntegerField()


class FitnessSerializer(serializers.Serializer[dict[str, object]]):
    """Fit, unfit or unknown as a labeler, and why."""

    state = serializers.ChoiceField(choices=["fit", "unfit", "unknown"])
    sentence = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())


class JudgeReportSerializer(serializers.Serializer[JudgeReport]):
    """All that is measured of a judge."""

    fitness = FitnessSerializer()
    hearings = FactsSerializer()
    answers = serializers.IntegerField()
    unparsed = JudgeStatisticSerializer(help_text="Share of answers that could not be read.")
    chose_first = JudgeStatisticSerializer(help_text="Share of decisive answers for the first.")
    chose_tie = JudgeStatisticSerializer(help_text="Share of the answers that were read.")
    same_in_both_orders = JudgeStatisticSerializer(help_text="Share of pairs.")
    same_in_repeats = JudgeStatisticSerializer(help_text="Share of pairs of repeats.")
    one_order_agreement = JudgeStatisticSerializer(help_text="Single answers with people.")
    agreement = JudgeStatisticSerializer(
        help_text="Final verdicts with people, where both decided."
    )
    people_agreement = JudgeStatisticSerializer(
        help_text="People with each other, on all pairs that the judge heard."
    )
    alt_test = AltTestSerializer()


class NewJudgeRunSerializer(serializers.Serializer[JudgeRun]):
    """Which comparisons a judge is to hear."""

    wanted = serializers.ChoiceField(
        choices=JudgeRun.Wanted.choices, default=JudgeRun.Wanted.JUDGED
    )
    max_comparisons = serializers.IntegerField(default=0, help_text="0: all it has not heard.")


class JudgeRunSerializer(serializers.ModelSerializer[JudgeRun]):
    """One run of a judge over comparisons."""

    queue_place = QueuePlaceField()

    class Meta:
        model = JudgeRun
        fields = ["id", "judge", "wanted", "max_comparisons", *JOB_FIELDS]


class JudgeRunDetailSerializer(JudgeRunSerializer):
    """One run with how its hearings ended."""

    facts = FactsSerializer()

    class Meta(JudgeRunSerializer.Meta):
        fields = [*JudgeRunSerializer.Meta.fields, "facts"]


class MachineAnswerSerializer(serializers.Serializer[dict[str, object]]):
    """One answer: the candidates in the order they stood, and what was read of it."""

    first = serializers.IntegerField()
    second = serializers.IntegerField()
    repeat = serializers.IntegerField()
    verdict = serializers.ChoiceField(choices=["first", "second", "tie"], allow_null=True)
    said = serializers.CharField()


class HearingSerializer(serializers.ModelSerializer[Hearing]):
    """What a judge said of one comparison."""

    answers = MachineAnswerSerializer(many=True)
    ranking = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()),
        help_text="Tiers of candidate ids, best first; empty without a verdict.",
    )

    class Meta:
        model = Hearing
        fields = [
            "id", "comparison", "run", "outcome", "answers", "ranking", "reason", "judgment", "at",
        ]  # fmt: skip


class NewRevisionRunSerializer(serializers.Serializer[RevisionRun]):
    """Which candidates a judge is to criticize and write anew."""

    policy = serializers.IntegerField(
        required=False, help_text="Id of the policy whose candidates; without it any policy's."
    )
    max_candidates = serializers.IntegerField(default=0, help_text="0: all.")
    max_tokens = serializers.IntegerField(default=256)
    temperature = serializers.FloatField(default=0.7)
    is_reviewed = serializers.BooleanField(default=True, help_text="People approve each text.")


class RevisionRunSerializer(serializers.ModelSerializer[RevisionRun]):
    """One run of critique and revision."""

    queue_place = QueuePlaceField()

    class Meta:
        model = RevisionRun
        fields = [
            "id", "judge", "source", "max_candidates", "max_tokens", "temperature", "is_reviewed",
            *JOB_FIELDS,
        ]  # fmt: skip


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    """One candidate, criticized and written anew."""

    class Meta:
        model = Revision
        fields = ["id", "candidate", "outcome", "critique", "text", "reason", "demonstration", "at"]
