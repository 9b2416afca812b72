"""Forms of machine judges. Bounds are checked by the services, so that form and API say the same."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from annotation.judges.models import Constitution, Judge, JudgeRun
from annotation.registry.models import ModelVersion


class ConstitutionForm(forms.Form):
    """The principles as one text."""

    principles = forms.CharField(
        label="Principles",
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 16}),
        help_text="A paragraph a principle, as “Title: sentence”, an empty line between two.",
    )


class JudgeForm(forms.Form):
    """A new judge."""

    name = forms.CharField(max_length=80, help_text="What the team will call it.")
    model = forms.ModelChoiceField(
        queryset=ModelVersion.objects.none(),
        empty_label=None,
        help_text="Any registered policy, here or on a server.",
    )
    constitution = forms.ModelChoiceField(
        queryset=Constitution.objects.none(),
        empty_label=None,
        help_text="Its verdicts stay bound to this version.",
    )
    style = forms.ChoiceField(
        label="How it answers",
        choices=Judge.Style.choices,
        help_text="One word is fast; reasons help larger models.",
    )
    temperature = forms.FloatField(initial=0.0, help_text="0 always gives the likeliest answer.")
    repeats = forms.IntegerField(
        label="Answers in each order",
        initial=1,
        help_text="Several, above temperature 0, also show whether it repeats itself.",
    )
    max_tokens = forms.IntegerField(initial=0, help_text="0: what the way of answering needs.")
    seed = forms.IntegerField(initial=17)

    def __init__(
        self,
        *args: Any,  # Any: as Django's form
        models: QuerySet[ModelVersion],
        constitutions: QuerySet[Constitution],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        for name, rows in (("model", models), ("constitution", constitutions)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - what we know
            field.queryset = rows


class HearingForm(forms.Form):
    """A run over comparisons."""

    wanted = forms.ChoiceField(label="Which comparisons", choices=JudgeRun.Wanted.choices)
    max_comparisons = forms.IntegerField(
        label="Most comparisons", initial=0, help_text="0: all that it has not heard."
    )


class RevisionForm(forms.Form):
    """A run over candidates."""

    max_candidates = forms.IntegerField(label="Most candidates", initial=0, help_text="0: all.")
    max_tokens = forms.IntegerField(initial=256, help_text="A text that is cut there is dropped.")
    temperature = forms.FloatField(initial=0.7)
    is_reviewed = forms.BooleanField(
        label="People approve each text",
        required=False,
        initial=True,
        help_text="Without, the machine’s word is taken as it is.",
    )
