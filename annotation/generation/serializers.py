"""Shapes of generation in the API."""

from rest_framework import serializers

from annotation.core.places import QueuePlaceField
from annotation.generation.models import Candidate, GenerationRun, PlaygroundRun, PromptOutcome
from annotation.generation.selectors import RunFacts
from annotation.prompts.serializers import TurnSerializer

JOB_FIELDS = ["status", "error", "progress_done", "progress_total", "progress_unit", "created_at"]
JOB_FIELDS += ["started_at", "finished_at", "queue_place"]
SAMPLING_FIELDS = ["temperature", "top_p", "max_tokens", "seed"]


class RunRequestSerializer(serializers.Serializer[GenerationRun]):
    """What a generation run is made of; only what differs from the defaults must be sent."""

    policy = serializers.IntegerField(
        required=False, help_text="Id of a policy; without it the serving one is asked."
    )
    per_prompt = serializers.IntegerField(default=2, help_text="Responses a prompt.")
    temperature = serializers.FloatField(default=0.8)
    top_p = serializers.FloatField(default=1.0)
    max_tokens = serializers.IntegerField(default=256)
    seed = serializers.IntegerField(default=17)
    max_prompts = serializers.IntegerField(default=0, help_text="0: all that lack responses.")
    pair_after = serializers.BooleanField(
        default=True, help_text="Make comparisons of the new candidates."
    )


class GenerationRunSerializer(serializers.ModelSerializer[GenerationRun]):
    """One generation run."""

    queue_place = QueuePlaceField()

    class Meta:
        model = GenerationRun
        fields = [
            "id", "policy", "per_prompt", *SAMPLING_FIELDS, "max_prompts", "pair_after", "group",
            *JOB_FIELDS,
        ]  # fmt: skip


class FailureSerializer(serializers.ModelSerializer[PromptOutcome]):
    """A prompt that was not answered whole, and why."""

    class Meta:
        model = PromptOutcome
        fields = ["prompt", "candidates", "reason", "at"]


class CutPromptSerializer(serializers.ModelSerializer[PromptOutcome]):
    """A prompt that was longer than the policy reads: how many tokens of its beginning it was not shown."""

    class Meta:
        model = PromptOutcome
        fields = ["prompt", "prompt_tokens_cut"]


class RunFactsSerializer(serializers.Serializer[RunFacts]):
    """How the run stands."""

    candidates = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    failures = serializers.IntegerField()
    prompts_cut = serializers.IntegerField()
    prompts_a_minute = serializers.FloatField(allow_null=True)
    seconds_left = serializers.IntegerField(allow_null=True)


class RunDetailSerializer(GenerationRunSerializer):
    """One generation run with its counts and the newest prompts that failed, or were not read whole."""

    facts = RunFactsSerializer()
    failed_prompts = FailureSerializer(many=True)
    cut_prompts = CutPromptSerializer(many=True)

    class Meta(GenerationRunSerializer.Meta):
        fields = [*GenerationRunSerializer.Meta.fields, "facts", "failed_prompts", "cut_prompts"]


class CandidateSerializer(serializers.ModelSerializer[Candidate]):
    """One response to a prompt, with its source."""

    class Meta:
        model = Candidate
        fields = [
            "id", "prompt", "text", "source", "source_name", "policy", "run", "is_finished",
            "token_count", "created_at",
        ]  # fmt: skip


class PlaygroundSerializer(serializers.ModelSerializer[PlaygroundRun]):
    """One prompt answered by up to four policies, with their rewards."""

    turns = TurnSerializer(many=True)
    policies = serializers.ListField(
        child=serializers.IntegerField(), source="policy_ids", help_text="1 to 4 policy ids."
    )
    reward_model = serializers.IntegerField(
        source="reward_model_id", required=False, allow_null=True, default=None
    )
    answers = serializers.DictField(
        read_only=True,
        help_text="By policy id; `prompt_tokens_cut` of the prompt's beginning were not shown to it.",
    )
    scores = serializers.DictField(
        child=serializers.FloatField(), read_only=True, help_text="Rewards by policy id."
    )
    criterion_scores = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField()),
        read_only=True,
        help_text="By policy id, what the reward model's head of each criterion says.",
    )

    queue_place = QueuePlaceField()

    class Meta:
        model = PlaygroundRun
        fields = [
            "id", "turns", "policies", "reward_model", *SAMPLING_FIELDS, "answers", "scores",
            "criterion_scores", "scores_reason", *JOB_FIELDS,
        ]  # fmt: skip
        read_only_fields = ["scores_reason", *JOB_FIELDS]
