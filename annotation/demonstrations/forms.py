"""The form with which an admin asks. Bounds are checked by the services, so that form and API say the same."""

from typing import Any

from django import forms

from annotation.demonstrations.services.asking import Choose
from annotation.projects.models import Project

WHAT = (
    ("", "Write responses"),
    (Choose.LOSING.value, "Edit the losing candidate"),
    (Choose.BEST.value, "Edit the best candidate"),
    (Choose.ALL_BAD.value, "Edit a candidate where all were bad"),
)


class AskForm(forms.Form):
    """What to ask for, and of which prompts."""

    choose = forms.ChoiceField(
        choices=WHAT,
        required=False,
        label="What people do",
        help_text="Edits are asked of judged prompts, one a prompt.",
    )
    per_prompt = forms.IntegerField(
        label="Responses a prompt",
        initial=1,
        help_text="Each by another person. Edits: always one.",
    )
    only_all_bad = forms.BooleanField(
        required=False, label="Only prompts whose candidates were all found bad"
    )
    search = forms.CharField(
        required=False, max_length=200, label="Prompts that contain", help_text="Empty: all."
    )
    prompt_source = forms.ChoiceField(required=False, label="From")
    tag = forms.CharField(required=False, max_length=60, label="With the tag")
    language = forms.ChoiceField(required=False)
    at_most = forms.IntegerField(
        label="Most prompts", initial=100, help_text="The oldest that fit, up to 2,000 at once."
    )
    priority = forms.IntegerField(initial=0, help_text="Higher is served sooner.")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:  # Any: Django's own
        super().__init__(*args, **kwargs)
        self._offer("language", project, "language", "Any")
        self._offer("prompt_source", project, "source", "Any source")

    def _offer(self, name: str, project: Project, column: str, empty: str) -> None:
        """The values that the project's prompts have; one query."""
        values = project.prompts.exclude(**{column: ""}).order_by(column)
        found = values.values_list(column, flat=True).distinct()[:200]
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - what we know
        field.choices = [("", empty), *((one, one) for one in found)]
