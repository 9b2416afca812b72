"""The form of a new run, made from the fields of its spec."""

import re
import typing
from dataclasses import MISSING, Field
from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.timezone import localtime

from annotation.core.errors import InvalidInput
from annotation.projects.models import Project
from annotation.registry.models import ModelVersion
from annotation.registry.selectors import serving
from annotation.runs import selectors
from annotation.runs.services import Inputs, checked_spec
from annotation.runs.specs import PLACES, needs_reward_model
from training.spec.naming import title_of
from training.spec.runs import SPECS, wrong_fields

# Shown first, in this order; the rest is under "Advanced".
ESSENTIAL = (
    "learning_rate",
    "epochs",
    "max_steps",
    "groups_per_step",
    "updates",
    "rollouts_per_update",
    "kl_coefficient",
    "temperature",
    "trainable_layers",
    "max_response_tokens",
)

INPUTS = {"snapshot", "base_model", "reward_model"}  # that a run cannot be checked without
NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")  # of a setting


class NewRunForm(forms.Form):
    """What every run needs, then the fields of its kind's spec."""

    name = forms.CharField(
        max_length=120, help_text="Its model version will carry this name, with a number."
    )
    snapshot: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, empty_label=None, help_text="The records that it learns from."
    )
    base_model: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, empty_label=None, label="Start from", help_text="The model that is trained."
    )
    reward_model: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None, empty_label=None, help_text="Scores the responses that the policy writes."
    )

    held_out_reward_model: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        required=False,
        empty_label="None",
        label="Held-out reward model",
        help_text="Watches and does not teach: a guard warns where its scores fall while the reward rises.",
    )

    sampler: "forms.ModelChoiceField[Any]" = forms.ModelChoiceField(
        queryset=None,
        required=False,
        empty_label="The run’s own process",
        label="Sample on",
        help_text="A vLLM server that serves the model to start from, follows the policy by its adapter (LoRA) "
        "and sees the run’s folder; one that an admin of the project has registered as a model.",
    )

    def __init__(self, *args: Any, project: Project, kind: str, **options: Any) -> None:
        super().__init__(*args, **options)  # Any: Django's own signature
        self.project, self.kind = project, kind
        self._choose("snapshot", selectors.built_snapshots(project))
        self._choose("base_model", selectors.base_models(project, kind))
        self._choose("reward_model", selectors.reward_models(project))
        self._choose("held_out_reward_model", selectors.reward_models(project))
        self._choose("sampler", selectors.sampling_servers(project))
        for name in ("held_out_reward_model", "sampler"):
            self.fields[name].initial = None
        serves = serving(project=project, kind=ModelVersion.Kind.POLICY)
        if serves is not None and serves.backend == ModelVersion.Backend.LOCAL:
            self.fields["base_model"].initial = serves
        if not needs_reward_model(kind):
            for name in ("reward_model", "held_out_reward_model", "sampler"):
                del self.fields[name]
        asked = [one for one in SPECS[kind].used_fields() if one.name not in PLACES]
        self.spec_names = [one.name for one in asked]
        hints = typing.get_type_hints(SPECS[kind])
        for one in asked:
            self.fields[one.name] = form_field(one, hints[one.name])
        for name, field in self.fields.items():
            field.help_text = self._in_words(str(field.help_text))
            field.widget.attrs["aria-describedby"] = f"help_{name}"

    def _choose(self, name: str, rows: Any) -> None:  # Any: querysets of three tables
        field = typing.cast("forms.ModelChoiceField[Any]", self.fields[name])
        field.queryset = rows
        field.label_from_instance = label_of  # type: ignore[method-assign, assignment] # Django's documented hook
        field.initial = rows.first()

    def clean(self) -> dict[str, Any]:
        """Marks every value that is wrong, so that one look shows them all."""
        given: dict[str, Any] = super().clean() or {}
        row = {"kind": self.kind} | {name: given[name] for name in self.spec_names if name in given}
        wrong = wrong_fields(row)
        for name, said in wrong.items():
            self.add_error(name, said)
        if not self.errors.keys() & INPUTS:
            self._check_together({name: one for name, one in row.items() if name not in wrong})
        return given

    def _check_together(self, row: dict[str, Any]) -> None:
        """Records, models and settings that do not go together; what is wrong by itself counts as its default."""
        rows: dict[str, Any] = {name: self.cleaned_data.get(name) for name in Inputs._fields}
        try:
            checked_spec(project=self.project, spec=row, inputs=Inputs(**rows))
        except InvalidInput as error:
            self.refuse(error)

    def refuse(self, error: InvalidInput) -> None:
        """Say at its field what a service refused, in the words of the form."""
        field = error.field if error.field in self.fields else None
        text = str(error).removeprefix(f"{field}: ")
        self.add_error(field, self._in_words(text))

    def _in_words(self, text: str) -> str:
        """A sentence that names other fields as they are labeled here."""
        return NAME.sub(lambda found: self._label(found[0]), text)

    def _label(self, name: str) -> str:
        return f"“{self.fields[name].label}”" if name in self.fields else name

    @property
    def wrong(self) -> list[forms.BoundField]:
        """The fields that are marked, in order."""
        return [field for field in self if field.errors]

    @property
    def basics(self) -> list[forms.BoundField]:
        """Name, records and models."""
        return [self[name] for name in self.fields if name not in self.spec_names]

    @property
    def essential(self) -> list[forms.BoundField]:
        """The settings that people change."""
        return [self[name] for name in ESSENTIAL if name in self.spec_names]

    @property
    def advanced(self) -> list[forms.BoundField]:
        """All other settings."""
        return [self[name] for name in self.spec_names if name not in ESSENTIAL]

    @property
    def has_advanced_errors(self) -> bool:
        return any(field.errors for field in self.advanced)

    def spec(self) -> dict[str, Any]:
        """What was asked for, as training.spec takes it."""
        return {"kind": self.kind, **{name: self.cleaned_data[name] for name in self.spec_names}}


def label_of(row: Any) -> str:  # Any: a snapshot or a model version
    """How a row reads in a select box."""
    if hasattr(row, "number"):
        stage = "" if row.stage == ModelVersion.Stage.CANDIDATE else f" · {row.stage}"
        return f"{row.name} v{row.number} · {row.get_kind_display().lower()}{stage}"
    built = date_format(localtime(row.created_at), "j M Y, H:i")
    return f"{row.name} · {row.rows} prompts, {row.pairs} pairs · {built}"


def form_field(one: "Field[Any]", wanted: Any) -> forms.Field:  # Any: the type of a spec's field
    """The form field of one setting. Its bounds are hints for the browser; training.spec decides."""
    rules = one.metadata
    facts: dict[str, Any] = {
        "label": title_of(one.name),
        "help_text": rules["help"],
        "initial": None if one.default is MISSING else one.default,
        "required": wanted is not bool and one.default != "",
    }
    if wanted is bool:
        return forms.BooleanField(**facts)
    if rules["choices"]:
        return forms.ChoiceField(choices=[(word, word) for word in rules["choices"]], **facts)
    if wanted in {int, float}:
        hints = {"min": rules["low"], "max": rules["high"]}
        hints["step"] = "any" if wanted is float else 1
        field = forms.FloatField if wanted is float else forms.IntegerField
        return field(widget=forms.NumberInput(attrs=hints), **facts)
    return forms.CharField(max_length=500, **facts)
