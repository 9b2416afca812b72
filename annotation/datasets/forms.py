"""The form of a new snapshot: small, with defaults that work."""

from typing import Any

from django import forms

from annotation.datasets.query import NO_TRAINING, Aggregation, SnapshotQuery, Ties
from annotation.datasets.selectors import splits_of_newest
from annotation.projects.models import Project
from annotation.quality.scope import LabelerKind
from training.spec.records import SPLITS

DEFAULTS = SnapshotQuery()
KIND_NAMES = {
    LabelerKind.PEOPLE: "People",
    LabelerKind.IMPORTED: "Imported judgments",
    LabelerKind.MACHINE: "Machine judges",
    LabelerKind.SIMULATED: "Simulated labelers",
}
AGGREGATION_NAMES = {
    Aggregation.SOFT: "Soft: the share of the votes",
    Aggregation.MAJORITY: "Majority: the side with the most votes",
    Aggregation.DAWID_SKENE: "Dawid-Skene: votes weighted by how reliable each labeler is",
}
TIE_NAMES = {Ties.KEEP: "Keep ties, marked as ties", Ties.DROP: "Leave ties out"}


class SnapshotForm(forms.Form):
    """Name, filters, rules."""

    name = forms.CharField(max_length=120, help_text="What you will look for later.")
    labelers = forms.MultipleChoiceField(
        choices=list(KIND_NAMES.items()),
        initial=list(DEFAULTS.labelers),
        widget=forms.CheckboxSelectMultiple,
        label="Whose judgments",
    )
    criterion = forms.ChoiceField(initial=DEFAULTS.criterion)
    guideline_versions = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Guideline versions",
        help_text="None checked means all.",
    )
    min_judgments = forms.IntegerField(
        min_value=1,
        max_value=1000,
        initial=DEFAULTS.min_judgments,
        label="Judgments a pair needs",
    )
    aggregation = forms.ChoiceField(
        choices=list(AGGREGATION_NAMES.items()),
        initial=DEFAULTS.aggregation,
        help_text="The votes are kept whatever you choose.",
    )
    ties = forms.ChoiceField(choices=list(TIE_NAMES.items()), initial=DEFAULTS.ties)
    demonstrations = forms.BooleanField(
        required=False,
        initial=DEFAULTS.demonstrations,
        label="Take in demonstrations",
        help_text="Approved responses that people wrote or edited, for SFT.",
    )
    edit_preferences = forms.BooleanField(
        required=False,
        initial=DEFAULTS.edit_preferences,
        label="Prefer edits to their originals",
        help_text="Each approved edit gives a pair marked “edit”: one person’s word, not blind.",
    )
    train = forms.IntegerField(
        min_value=1,
        max_value=100,
        initial=80,
        label="Train, percent",
        error_messages={"min_value": NO_TRAINING},
    )
    validation = forms.IntegerField(
        min_value=0, max_value=100, initial=10, label="Validation, percent"
    )
    test = forms.IntegerField(min_value=0, max_value=100, initial=10, label="Test, percent")
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        initial=DEFAULTS.seed,
        help_text="With the same seed a prompt falls into the same split in every snapshot.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:  # Any: Django's own
        super().__init__(*args, **kwargs)
        criteria = [(one.name, one.label) for one in project.criteria.all()]
        _offer(self.fields["criterion"], [("overall", "overall"), *criteria])
        versions = project.guidelines.order_by("version").values_list("version", flat=True)
        offered = [(str(one), f"Version {one}") for one in versions]
        _offer(self.fields["guideline_versions"], offered)
        proposed = proposed_splits(project)
        self.proposes_splits = bool(proposed)
        for name, value in proposed.items():
            self.fields[name].initial = value

    def clean(self) -> dict[str, Any]:  # Any: Django's own
        data = super().clean() or {}
        parts = [data.get(name) for name in ("train", "validation", "test")]
        if None not in parts and sum(part or 0 for part in parts) != 100:
            total = sum(part or 0 for part in parts)
            self.add_error("train", f"Train, validation and test must add up to 100, not {total}.")
        return data

    def query(self) -> dict[str, Any]:  # Any: JSON
        """The checked fields as a snapshot query."""
        data = {key: value for key, value in self.cleaned_data.items() if key != "name"}
        shares = {name: data[name] / 100 for name in ("train", "validation", "test")}
        versions = [int(version) for version in data["guideline_versions"]]
        return {**data, **shares, "guideline_versions": versions}


def proposed_splits(project: Project) -> dict[str, int]:
    """Shares in percent and seed of the newest snapshot; {} without one, or where a percent is not whole."""
    newest = splits_of_newest(project)
    shares = {name: round(100 * newest[name]) for name in SPLITS if name in newest}
    if not newest or any(abs(shares[name] / 100 - newest[name]) > 1e-9 for name in SPLITS):
        return {}
    return {**shares, "seed": newest["seed"]}


def _offer(field: forms.Field, choices: list[tuple[str, str]]) -> None:
    if isinstance(field, forms.ChoiceField):
        field.choices = choices
