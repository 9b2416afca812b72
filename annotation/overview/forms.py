"""Forms of the set-up that belong to no single app: what an estimate is asked with, prompts, responses."""

from itertools import zip_longest
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from annotation.generation.models import SamplingPlan
from annotation.generation.sampling import MOST_PER_PROMPT, MOST_TOKENS
from annotation.generation.selectors import planned_policies, policies_of
from annotation.generation.services.planning import MOST_POLICIES
from annotation.projects.models import Project
from annotation.projects.services.rubric import Aspect
from annotation.projects.settings_forms import CHOICES, OpenedForm, PercentField
from annotation.prompts.forms import UploadForm
from annotation.registry.models import ModelVersion

MOST_PROMPTS = 10_000_000
SAMPLING = ("policies", "per_prompt", "temperature", "max_tokens")


class EstimateForm(forms.Form):
    """Choices to estimate with; what is left out is the project's."""

    prompts = forms.IntegerField(min_value=1, max_value=MOST_PROMPTS, required=False)
    policies = forms.IntegerField(min_value=0, max_value=MOST_POLICIES, required=False)
    per_prompt = forms.IntegerField(min_value=1, max_value=MOST_PER_PROMPT, required=False)
    pairing = forms.ChoiceField(choices=[("", ""), *Project.Pairing.choices], required=False)
    overlap = forms.IntegerField(min_value=1, max_value=50, required=False)
    overlap_share = PercentField(required=False)
    gold_share = PercentField(required=False)
    repeat_share = PercentField(required=False)
    agreement_target = forms.FloatField(min_value=-1, max_value=1, required=False)

    def choices(self) -> dict[str, Any]:  # Any: numbers and one word
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


class PromptsForm(UploadForm):
    """A file of prompts, or none: those that are there, or under way, will do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as Django's form
        super().__init__(*args, **kwargs)
        self.fields["file"].required = False
        self.fields["contents"].required = False
        self.fields["row_form"].required = False


def aspects_in(posted: QueryDict) -> list[Aspect]:
    """The criteria that are typed in the step of the rubric, also those that lack something."""
    columns = (posted.getlist(name) for name in ("name", "question", "title"))
    rows = zip_longest(*columns, fillvalue="")
    return [Aspect(*(text.strip() for text in row)) for row in rows]


class KeysInput(forms.HiddenInput):
    """The keys of several rows in one hidden field, so that none is a value too."""

    def format_value(self, value: Any) -> str:  # Any: keys, or as they were sent
        return ",".join(str(one) for one in value or ())

    def value_from_datadict(
        self, data: Any, _files: Any, name: str
    ) -> list[str]:  # Any: as Django's
        sent = data.get(name) or ""
        return [one for one in sent.split(",") if one] if isinstance(sent, str) else sent


class PoliciesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg] # not generic at run time
    """Some of a project's policies, or none."""

    widget = forms.CheckboxSelectMultiple
    hidden_widget = KeysInput


class ResponsesForm(OpenedForm, forms.Form):
    """Who answers the prompts, how, and which answers are compared. Bounds are the services'."""

    policies = PoliciesField(
        label=_("Policies that answer"),
        queryset=ModelVersion.objects.none(),
        required=False,
        help_text=_(
            "They are asked when you start, at the last step. The responses of several are compared with each "
            "other. Choose none where the responses are imported."
        ),
    )
    per_prompt = forms.IntegerField(
        label=_("Responses a prompt, from each policy"),
        min_value=1,
        max_value=MOST_PER_PROMPT,
        help_text=_("2 to 9 in all can be compared at once."),
    )
    temperature = forms.FloatField(
        label=_("Temperature"),
        min_value=0,
        max_value=5,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text=_("0.7 to 0.9 gives varied responses; at 0 all are the same."),
    )
    max_tokens = forms.IntegerField(
        label=_("Most tokens"),
        min_value=1,
        max_value=MOST_TOKENS,
        help_text=_("Longer responses are cut there."),
    )
    pairing = forms.ChoiceField(
        label=_("Which responses are compared"),
        choices=CHOICES["pairing"],
        help_text=_("A ranking of all asks less of people than every pair, and says as much."),
    )

    def __init__(self, data: QueryDict | None, *, project: Project) -> None:
        self.plan = SamplingPlan.objects.filter(project=project).first()
        self.offered = policies_of(project)
        plan = self.plan or SamplingPlan()
        chosen = planned_policies(plan) if self.plan else self.offered[:1]
        initial = {name: getattr(plan, name) for name in SAMPLING if name != "policies"}
        initial |= {"policies": list(chosen), "pairing": project.pairing}
        super().__init__(data, initial=initial)
        field = self.fields["policies"]
        assert isinstance(field, PoliciesField)  # noqa: S101 - what we know
        field.queryset = self.offered
        if not self.offered:
            field.help_text = _("None is registered; the responses are imported.")

    def clean(self) -> dict[str, Any]:  # Any: cleaned values
        sent: dict[str, Any] = super().clean() or {}
        if sent.get("temperature") == 0 and (sent.get("per_prompt") or 1) > 1:
            self.add_error(
                "temperature",
                "At temperature 0 all responses are the same; raise it, or ask for one.",
            )
        return sent

    def sampling(self) -> dict[str, Any]:  # Any: numbers and policies
        """The whole plan to keep: the first as it is shown, a later one with the changes alone."""
        chosen = {**self.initial, **self.changes()} if self.plan else self.cleaned_data
        return {name: chosen[name] for name in SAMPLING}
