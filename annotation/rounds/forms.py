"""The form of a new round: one page, settings from a preset, one button."""

from typing import Any, cast

from django import forms

from annotation.core.errors import InvalidInput
from annotation.projects.models import Project
from annotation.rounds.plans import BOUNDS, Plan, checked
from annotation.rounds.selectors import start_policies
from annotation.runs.forms import label_of
from annotation.runs.selectors import sampling_servers
from training.spec.naming import title_of
from training.spec.runs import SPECS

PRESETS = (("standard", "For a real project"), ("demo", "For two slow cores"))
ALGORITHMS = (
    ("ppo", "PPO, against a new reward model"),
    ("grpo", "GRPO, against a new reward model"),
    ("dpo", "DPO, on the preferences directly"),
    ("kto", "KTO, on good and bad responses"),
    ("sft", SPECS["sft"].title),
)
PROMOTIONS = (("when_better", "When it is measured to be better"), ("by_hand", "By hand"))
CHOSEN: dict[object, str] = dict((*PRESETS, *ALGORITHMS, *PROMOTIONS))


class RoundForm(forms.Form):
    """What a round needs to know; `rounds.plans` decides."""

    policy: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        empty_label=None,
        label="Start from",
        help_text="Answers the prompts, and is what the round improves. The serving policy stands first.",
    )
    algorithm = forms.ChoiceField(choices=ALGORITHMS, label="Improve it by")
    preset = forms.ChoiceField(
        choices=PRESETS, label="Settings", help_text="Of both training runs; they are in the docs."
    )
    sampler: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        required=False,
        empty_label="The run’s own process",
        label="Sample on",
        help_text="For PPO and GRPO with the settings for a real project: a vLLM server that serves the policy to "
        "start from and follows it by its adapter; one that an admin of the project has registered as a model.",
    )
    per_prompt = forms.IntegerField(
        label="Responses to each prompt", help_text="More of them make more comparisons."
    )
    max_prompts = forms.IntegerField(
        label="At most this many prompts", help_text="0 asks all of them."
    )
    temperature = forms.FloatField(help_text="Higher makes responses differ more.")
    max_tokens = forms.IntegerField(label="Longest response", help_text="In tokens.")
    label_share = forms.FloatField(
        label="Enough labels",
        help_text="The share of all labels at which it goes on by itself; 1 waits for every one.",
    )
    blind_prompts = forms.IntegerField(
        label="Held-out prompts on which people compare it blind",
        help_text="The new policy against the one before, until the votes decide; 0 asks nobody.",
    )
    blind_days = forms.IntegerField(
        label="Wait for their votes at most", help_text="In days; then what was said counts."
    )
    promotion = forms.ChoiceField(
        choices=PROMOTIONS,
        label="The new policy serves",
        help_text="The next round starts from the policy that serves. One that a guard warned of is never "
        "promoted by itself.",
    )

    def __init__(self, *args: Any, project: Project, **options: Any) -> None:
        super().__init__(*args, **options)  # Any: Django's own signature
        policy = cast("forms.ModelChoiceField[Any]", self.fields["policy"])
        policy.queryset = start_policies(project)
        policy.label_from_instance = label_of  # type: ignore[method-assign, assignment] # Django's documented hook
        policy.initial = policy.queryset.first()
        sampler = cast("forms.ModelChoiceField[Any]", self.fields["sampler"])
        sampler.queryset = sampling_servers(project)
        sampler.label_from_instance = label_of  # type: ignore[method-assign, assignment] # as above
        for name, (low, high) in BOUNDS.items():
            self.fields[name].widget.attrs |= {"min": low, "max": high}
        for name in ("temperature", "label_share"):
            self.fields[name].widget.attrs["step"] = "any"

    def clean(self) -> None:
        """Every number that may not stand, at its field."""
        for name in BOUNDS.keys() & self.cleaned_data.keys():
            try:
                checked(name, self.cleaned_data[name])
            except InvalidInput as error:
                self.add_error(name, str(error))

    def plan(self) -> Plan:
        """The checked plan. Raises InvalidInput at a field."""
        return Plan.from_json({name: self.cleaned_data[name] for name in Plan.__dataclass_fields__})


def plan_facts(plan: Plan) -> list[tuple[str, object]]:
    """Every setting of a plan as the form calls it, and its value."""
    fields = RoundForm.base_fields
    return [
        (str(fields[name].label or title_of(name)), CHOSEN.get(value, value))
        for name, value in plan.as_json().items()
    ]
