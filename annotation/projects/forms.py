"""Forms about a project."""

from typing import Any

from django import forms

from annotation.projects.models import Criterion, Project, Role
from annotation.projects.services.members import INVITATION_DAYS


class NewProjectForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = Project
        fields = ["name", "description"]
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        help_texts = {"description": "What is judged here, and what for. Members read it."}


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    agreement_target = forms.FloatField(
        min_value=-1,
        max_value=1,
        help_text="Share of equal verdicts, ties left out, that you aim at; 0.7 is a usual start.",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
    )

    class Meta:
        model = Project
        fields = [
            "name",
            "description",
            "overlap",
            "lease_seconds",
            "min_reading_seconds",
            "rationale_rule",
            "agreement_target",
            "is_paused",
        ]
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        labels = {
            "overlap": "Judgments for each comparison",
            "lease_seconds": "Seconds a labeler may hold a comparison",
            "min_reading_seconds": "Seconds before the verdict unlocks",
            "rationale_rule": "Ask for a reason",
            "is_paused": "Pause labeling",
        }
        help_texts = {
            "overlap": "2 or more let you measure agreement. It holds for comparisons made from now on.",
            "is_paused": "Labelers get no more comparisons until you take this back.",
        }


class GuidelineForm(forms.Form):
    text = forms.CharField(
        max_length=200_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 16}),
        label="Guideline (Markdown)",
    )


class CriterionForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = Criterion
        fields = ["name", "question"]
        help_texts = {"name": "Small letters, digits and hyphens, such as “follows-format”."}


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150)
    role = forms.ChoiceField(choices=Role.choices)


class RolesForm(forms.Form):
    roles = forms.MultipleChoiceField(choices=Role.choices, required=False)

    def chosen(self) -> set[Role]:
        return {Role(role) for role in self.cleaned_data["roles"]}


class InvitationForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)
    note = forms.CharField(max_length=120, required=False, label="For whom?")
    days = forms.IntegerField(
        min_value=1, max_value=90, initial=INVITATION_DAYS, label="Valid for days"
    )


def first_error(form: forms.BaseForm) -> str:
    """One sentence of what is wrong with a form that has no page of its own."""
    errors: dict[str, Any] = form.errors  # Any: Django's error lists
    return " ".join(f"{field}: {' '.join(texts)}" for field, texts in errors.items())
