"""Forms of batches."""

from typing import Any

from django import forms

from annotation.comparisons.batches import Choices
from annotation.comparisons.services.batches import Chosen
from annotation.projects.settings_forms import CHOICES, deadline_label, tell_past_deadline

LOWEST, HIGHEST = -100, 100


class BatchForm(forms.Form):
    """What can be changed later too."""

    name = forms.CharField(max_length=120)
    priority = forms.IntegerField(
        min_value=LOWEST, max_value=HIGHEST, initial=0, help_text="Higher is served sooner."
    )
    deadline = forms.DateTimeField(
        required=False,
        label=deadline_label(),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as Django's form
        super().__init__(*args, **kwargs)
        tell_past_deadline(self)


class NewBatchForm(BatchForm):
    """Which prompts, and how their responses are compared."""

    tag = forms.ChoiceField(required=False)
    category = forms.ChoiceField(required=False)
    language = forms.ChoiceField(required=False)
    prompt_import = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None, label="Brought by the import"
    )
    generation_run = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None, label="Answered in the generation run"
    )
    strategy = forms.ChoiceField(
        required=False,
        label="Where comparisons lack, compare",
        choices=[("", "As the project’s settings say"), *CHOICES["pairing"]],
    )

    def __init__(self, *args: Any, choices: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # Any: as Django's form
        named: dict[str, list[tuple[str | int, str]]] = {
            "tag": [(one, one) for one in choices.tags],
            "category": [(one, one) for one in choices.categories],
            "language": [(one, one) for one in choices.languages],
            "prompt_import": [(one.pk, f"{one.pk}: {one.filename}") for one in choices.imports],
            "generation_run": [
                (one.pk, f"run {one.pk}: {one.policy.name}") for one in choices.runs
            ],
        }
        for name, values in named.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - what we know
            field.choices = [("", "Any"), *values]

    def chosen(self) -> Chosen:
        fields = ("tag", "category", "language", "prompt_import", "generation_run")
        return Chosen(**{name: self.cleaned_data[name] for name in fields})
