"""Forms of a project that several people may have open at the same time: its settings, and what they build on."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotation.core.text import canonical
from annotation.projects.models import Project

CHOICES = {
    "answer_scale": [
        ("seven", _("Seven: much better, better, slightly better, about the same, and back")),
        ("five", _("Five: better, slightly better, about the same, and back")),
        ("three", _("Three: better, about the same, worse")),
        ("two", _("Two: one of them is better; no ties")),
    ],
    "rationale_rule": [
        ("never", _("Never")),
        ("optional", _("If they like")),
        ("strong", _("At the strongest step of the scale")),
        ("always", _("Always")),
    ],
    "serving_order": [
        ("breadth_first", _("One label each, before any gets a second")),
        ("depth_first", _("Finish what was begun")),
    ],
    "pairing": [
        ("auto", _("Each two of up to four; more, each with the next")),
        ("all_pairs", _("Each two")),
        ("ring", _("Each with the next, in a ring")),
        ("one_ranking", _("All at once, as one ranking")),
    ],
}


class PercentField(forms.FloatField):
    """A share, shown and typed in percent."""

    def __init__(self, **options: Any) -> None:  # Any: Django's own options
        options.update(min_value=0, max_value=1)
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:  # Any: a number, or what was typed
        return f"{value * 100:g}" if isinstance(value, float | int) else value

    def to_python(self, value: Any) -> float | None:  # type: ignore[override] # the stubs say int; Any: typed
        number = super().to_python(value)
        return None if number is None else round(number / 100, 6)

    def validate(self, value: Any) -> None:  # Any: what `to_python` made
        super().validate(value)
        if value is not None and not 0 <= value <= 1:
            raise forms.ValidationError(f"This is {value * 100:g} %; it lies from 0 to 100 %.")

    def run_validators(self, value: Any) -> None:
        """`validate` has said it, in percent."""

    def widget_attrs(self, _widget: forms.Widget) -> dict[str, Any]:  # Any: Django's attributes
        return {"min": 0, "max": 100, "step": "any", "inputmode": "decimal"}


class TargetField(forms.FloatField):
    """An agreement that a project aims at."""

    def __init__(self, **options: Any) -> None:  # Any: Django's own options
        options.update(min_value=-1, max_value=1)
        super().__init__(**options)


def _deadline_label() -> str:
    return gettext("Deadline (%(zone)s)") % {"zone": timezone.get_current_timezone_name()}


deadline_label = lazy(_deadline_label, str)  # names the zone of who reads and writes it


def tell_past_deadline(form: forms.BaseForm) -> None:
    """Beside a deadline that is kept and over: that it is, since nothing refuses one."""
    deadline = form.initial.get("deadline")
    if deadline and deadline < timezone.now():
        over = gettext("This is in the past: labelers read that the work was due then.")
        field = form.fields["deadline"]
        field.help_text = format_html("<b>{}</b> {}", over, field.help_text)


def idle_early_stop(project: Project) -> str:
    """Why early stop, as the project has it, ends nothing; empty where it may, or is off."""
    if not project.stop_when_agreeing or project.stop_when_agreeing < project.overlap:
        return ""
    told = gettext(
        "This ends nothing early: no comparison gets more labels than %(overlap)s, unless its batch asks for more."
    )
    return told % {"overlap": project.overlap}


class OpenedForm(forms.BaseForm):
    """A form that changes only what was typed otherwise than its page was opened with, kept there in hidden fields.

    Its ``initial`` has every field as it is now.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as Django's form
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = True

    def clean(self) -> dict[str, Any]:  # Any: columns of several types
        """Refuse a setting that somebody changed otherwise while the page was open; a second save then puts it."""
        super().clean()
        for name, value in self.changes().items():
            now = self._shown(name, self.initial[name])
            if now not in {self._opened(name), self._shown(name, value)}:
                self._show_meanwhile(name, now)
        return self.cleaned_data

    def changes(self) -> dict[str, Any]:  # Any: columns of several types
        """What was typed otherwise than the page was opened with, by name."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if self._shown(name, value) != self._opened(name)
        }

    def _opened(self, name: str) -> str:
        """As the field was when the page was opened; what was sent without it is held against what is there."""
        bound = self[name]
        if bound.html_initial_name not in self.data:
            return self._shown(name, self.initial[name])
        was = bound.field.hidden_widget().value_from_datadict(
            self.data, self.files, bound.html_initial_name
        )
        return self._shown(name, bound.field.to_python(was))

    def _shown(self, name: str, value: Any) -> str:  # Any: as above
        """The value as a person reads it in the form."""
        field = self.fields[name]
        if isinstance(field, forms.BooleanField):
            return gettext("yes") if value else gettext("no")
        if name in CHOICES:
            return str(dict(CHOICES[name]).get(value, value))
        if isinstance(field, forms.ModelMultipleChoiceField):
            return ", ".join(field.label_from_instance(one) for one in value)
        shown = field.widget.format_value(field.prepare_value(value))
        return canonical(str(shown or ""))

    def _show_meanwhile(self, name: str, now: str) -> None:
        told = gettext(
            "While this page was open, somebody changed this to: %(now)s. Save again to put yours in its place."
        )
        self.add_error(name, told % {"now": now or gettext("nothing")})
        bound = self[name]
        now_there = bound.field.prepare_value(self.initial[name])
        self.data = sent_with(self.data, {bound.html_initial_name: now_there})

    def start_anew(self) -> None:
        """A page that stays open goes on from what was saved: that is what it was opened with from now on."""
        self.data = sent_with(self.data, {one.html_initial_name: one.value() for one in self})

    def starts(self) -> list[SafeString]:
        """The hidden fields with what the page was opened with, to be put in place of those in a page that is open."""
        return [one.as_hidden(attrs={"hx-swap-oob": "true"}, only_initial=True) for one in self]


class ProjectForm(OpenedForm, forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """How each setting of a project is asked for; the forms below take their part of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as Django's form
        super().__init__(*args, **kwargs)
        for name in self.fields.keys() & CHOICES.keys():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - what we know
            field.choices = CHOICES[name]
        if "deadline" in self.fields:
            tell_past_deadline(self)
        if "stop_when_agreeing" in self.fields and (idle := idle_early_stop(self.instance)):
            field = self.fields["stop_when_agreeing"]
            field.help_text = format_html("<b>{}</b> {}", idle, field.help_text)

    class Meta:
        model = Project
        fields: ClassVar[list[str]] = []
        field_classes = {
            "overlap_share": PercentField,
            "gold_share": PercentField,
            "repeat_share": PercentField,
            "agreement_target": TargetField,
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 3}),
            "agreement_target": forms.NumberInput(attrs={"step": "0.01"}),
            "deadline": forms.DateTimeInput(
                attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
            ),
        }
        labels = {
            "name": _("Name"),
            "description": _("Description"),
            "agreement_target": _("Agreement target"),
            "overlap": _("Labels for a comparison that many judge"),
            "overlap_share": _("Comparisons that many judge, in percent"),
            "stop_when_agreeing": _("Equal verdicts that end a comparison early"),
            "answer_scale": _("Answers a labeler may give"),
            "serving_order": _("Which comparison comes next"),
            "pairing": _("Which candidates are compared"),
            "gold_share": _("Gold comparisons, in percent"),
            "repeat_share": _("Repeats with the sides swapped, in percent"),
            "must_qualify": _("Labelers pass an entry exam first"),
            "deadline": deadline_label(),
            "lease_seconds": _("Seconds a labeler may hold a comparison"),
            "min_reading_seconds": _("Seconds before the verdict unlocks"),
            "rationale_rule": _("Ask for a reason"),
            "is_paused": _("Pause labeling"),
        }
        help_texts = {
            "overlap": _(
                "2 or more let you measure agreement. The set-up lets it hold for all comparisons until one is "
                "handed out; after that it holds for those made from then on."
            ),
            "overlap_share": _(
                "Drawn at random; the rest get one label each. 12 % at three labels is a usual start."
            ),
            "stop_when_agreeing": _(
                "Empty: never. With 2, what two labelers judge alike gets no third label. What a third says "
                "where the first two differ decides with them, and is apart from agreement."
            ),
            "gold_share": _(
                "Of what a labeler gets, with a known verdict. They test labelers, unseen."
            ),
            "repeat_share": _(
                "Of what a labeler gets, once more: how steady they are, and whether the side sways them."
            ),
            "must_qualify": _("The exam is made of gold comparisons; make those first."),
            "deadline": _(
                "Shown to labelers and held against the estimate. Nothing stops by itself."
            ),
            "lease_seconds": _("Then it goes back to the queue."),
            "min_reading_seconds": _("And all responses have been in view."),
            "agreement_target": _(
                "Share of equal verdicts, ties left out, that you aim at; 0.7 is a usual start."
            ),
            "is_paused": _("Labelers get no more comparisons until you take this back."),
        }


class AnswersForm(ProjectForm):
    """What labelers are asked, and how."""

    class Meta(ProjectForm.Meta):
        fields = ["answer_scale", "rationale_rule", "min_reading_seconds", "lease_seconds"]


class LabelsForm(ProjectForm):
    """How many labels, in which order, and how labelers are tested."""

    class Meta(ProjectForm.Meta):
        fields = [
            "overlap",
            "overlap_share",
            "stop_when_agreeing",
            "serving_order",
            "gold_share",
            "repeat_share",
            "must_qualify",
            "deadline",
            "agreement_target",
        ]


class SettingsForm(ProjectForm):
    """All settings on one page."""

    class Meta(ProjectForm.Meta):
        fields = [
            "name",
            "description",
            *LabelsForm.Meta.fields,
            "pairing",
            *AnswersForm.Meta.fields,
            "is_paused",
        ]


def sent_with(data: Mapping[str, Any], changed: dict[str, Any]) -> QueryDict:
    """What was sent, with some that the next send shall have. Any: as typed."""
    assert isinstance(data, QueryDict)  # noqa: S101 - as a request has it
    sent = data.copy()
    for name, value in changed.items():
        sent[name] = value
    return sent
