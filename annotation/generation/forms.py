"""Forms that ask policies. Bounds are checked by the services, so that form and API say the same."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from annotation.generation.services.playground import MOST_POLICIES
from annotation.registry.models import ModelVersion


class SamplingForm(forms.Form):
    """How to sample."""

    temperature = forms.FloatField(
        initial=0.8, help_text="0.7 to 0.9 gives varied responses; 0 always the likeliest."
    )
    top_p = forms.FloatField(
        initial=1.0, help_text="Sample from the likeliest share of the tokens."
    )
    max_tokens = forms.IntegerField(initial=256, help_text="Longer responses are cut there.")
    seed = forms.IntegerField(initial=17, help_text="Another seed gives other responses.")


class RunForm(SamplingForm):
    """A generation run."""

    policy = forms.ModelChoiceField(queryset=ModelVersion.objects.none(), empty_label=None)
    per_prompt = forms.IntegerField(
        label="Responses a prompt", initial=2, help_text="2 to 9 can be compared."
    )
    max_prompts = forms.IntegerField(
        label="Most prompts", initial=0, help_text="0: all prompts that lack responses."
    )
    pair_after = forms.BooleanField(
        label="Make comparisons of the new candidates", initial=True, required=False
    )
    field_order = ["policy", "per_prompt", "max_prompts"]

    def __init__(self, *args: Any, policies: QuerySet[ModelVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # Any: as Django's form
        field = self.fields["policy"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - what we know
        field.queryset = policies


class PlaygroundForm(SamplingForm):
    """One prompt for a few policies."""

    prompt = forms.CharField(
        label="Prompt",
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=100_000,
        required=False,
        strip=False,
    )
    policies = forms.ModelMultipleChoiceField(
        queryset=ModelVersion.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text=f"Up to {MOST_POLICIES}: the base, the fine-tuned, the one after PPO.",
    )
    reward_model = forms.ModelChoiceField(
        queryset=ModelVersion.objects.none(),
        required=False,
        empty_label="None",
        help_text="Scores all answers.",
    )
    field_order = ["prompt", "policies", "reward_model"]

    def __init__(self, *args: Any, models: QuerySet[ModelVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # Any: as Django's form
        kinds = {"policies": ModelVersion.Kind.POLICY, "reward_model": ModelVersion.Kind.REWARD}
        for name, kind in kinds.items():
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - what we know
            field.queryset = models.filter(kind=kind)
