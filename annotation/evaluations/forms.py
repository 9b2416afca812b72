"""The form of a new evaluation."""

from typing import Any, cast

from django import forms

from annotation.projects.models import Project
from annotation.registry.models import ModelVersion


class EvaluationForm(forms.Form):
    """Which two policies, on how many held-out prompts, judged by whom."""

    policy: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, empty_label=None, help_text="The one in question."
    )
    baseline: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, empty_label=None, help_text="What it is compared with."
    )
    prompts = forms.IntegerField(
        label="At most this many prompts",
        initial=100,
        min_value=1,
        max_value=10_000,
        help_text="In no training split behind either, its teacher, or the reward model. One vote each.",
    )
    temperature = forms.FloatField(initial=0.8, min_value=0, max_value=10)
    max_tokens = forms.IntegerField(
        label="Longest answer", initial=256, min_value=1, max_value=100_000, help_text="In tokens."
    )
    is_judged = forms.BooleanField(
        label="People compare the answers, blind",
        initial=True,
        required=False,
        help_text="It stops by itself once their votes decide.",
    )
    reward_model: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        required=False,
        empty_label="No reward model",
        help_text="Scores the same answers.",
    )

    def __init__(self, *args: Any, project: Project, **options: Any) -> None:
        super().__init__(*args, **options)  # Any: Django's own signature
        versions = ModelVersion.objects.filter(project=project)
        policies = versions.filter(kind=ModelVersion.Kind.POLICY).order_by("-pk")
        rewards = versions.filter(
            kind=ModelVersion.Kind.REWARD, backend=ModelVersion.Backend.LOCAL
        ).order_by("-pk")
        for name, rows in (("policy", policies), ("baseline", policies), ("reward_model", rewards)):
            cast("forms.ModelChoiceField[Any]", self.fields[name]).queryset = rows
        first = policies.first()
        self.fields["policy"].initial = first
        self.fields["baseline"].initial = (first and first.parent) or policies.last()
