"""Forms about a project."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.core.validators import validate_email
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotation.core.text import canonical
from annotation.projects.models import Criterion, Guideline, Project, Role
from annotation.projects.services.inviting import MOST_AT_ONCE
from annotation.projects.services.members import INVITATION_DAYS

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


class NewProjectForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = Project
        fields = ["name", "description"]
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        labels = {"name": _("Name"), "description": _("Description")}
        help_texts = {"description": _("What is judged here, and what for. Members read it.")}


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    """How each setting of a project is asked for; the forms below take their part of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: as Django's form
        super().__init__(*args, **kwargs)
        for name in self.fields.keys() & CHOICES.keys():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - what we know
            field.choices = CHOICES[name]
        if "deadline" in self.fields:
            tell_past_deadline(self)

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
                "Empty: never. With 2, what two labelers judge alike gets no third label. Agreement then "
                "leans towards what is disputed, which gets more labels."
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
    """All settings on one page; it changes only what was typed otherwise than the page was opened with."""

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
        """What this page changes, by name."""
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
        shown = field.widget.format_value(field.prepare_value(value))
        return canonical(str(shown or ""))

    def _show_meanwhile(self, name: str, now: str) -> None:
        told = gettext(
            "While this page was open, somebody changed this to: %(now)s. Save again to put yours in its place."
        )
        self.add_error(name, told % {"now": now or gettext("nothing")})
        bound = self[name]
        now_there = bound.field.prepare_value(self.initial[name])
        self.data = _sent_with(self.data, {bound.html_initial_name: now_there})

    class Meta(ProjectForm.Meta):
        fields = [
            "name",
            "description",
            *LabelsForm.Meta.fields,
            "pairing",
            *AnswersForm.Meta.fields,
            "is_paused",
        ]


def _sent_with(data: Mapping[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """What was sent, one value a name, with some that the next send shall have. Any: as typed."""
    return {name: data.get(name) for name in data} | changed


class GuidelineForm(forms.Form):
    """The text, and the version that it was written from; 0 for none."""

    from_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    text = forms.CharField(
        max_length=200_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 16}),
        label=_("Guideline (Markdown)"),
    )

    def __init__(self, data: QueryDict | None, *, current: Guideline | None) -> None:
        self.current = current
        self.newer: Guideline | None = None
        text, version = (current.text, current.version) if current else ("", 0)
        super().__init__(data, initial={"text": text, "from_version": version})

    def clean(self) -> dict[str, Any]:  # Any: Django's own
        """Refuse what was written from a version that is not the newest, once: ``newer`` is to be read beside it."""
        newest = self.initial["from_version"]
        if self.cleaned_data.get("from_version") not in {None, newest}:
            self.newer = self.current
            self.data = _sent_with(self.data, {"from_version": newest})
            told = gettext(
                "Version %(version)s was published while you wrote. Read it here, then send yours again; "
                "it follows that one."
            )
            raise forms.ValidationError(told % {"version": newest})
        return self.cleaned_data


class CriterionForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = Criterion
        fields = ["name", "question"]
        labels = {"name": _("Name"), "question": _("Question to the labeler")}
        help_texts = {"name": _("Small letters, digits and hyphens, such as “follows-format”.")}


class LanguagesField(forms.CharField):
    """The languages that a labeler is given comparisons in, as codes with commas between."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Languages"),
            max_length=200,
            required=False,
            help_text=_("Codes such as “en, de”: only comparisons in these. Empty: any language."),
        )

    def clean(self, value: Any) -> Any:  # Any: as Django's fields
        return languages_in(super().clean(value))


class MemberForm(forms.Form):
    username = forms.CharField(label=_("Username"), max_length=150)
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)
    languages = LanguagesField()


class RolesForm(forms.Form):
    roles = forms.MultipleChoiceField(choices=Role.choices, required=False)
    languages = LanguagesField()

    def chosen(self) -> set[Role]:
        return {Role(role) for role in self.cleaned_data["roles"]}

    def languages_sent(self) -> list[str] | None:
        """None where the form has no field for them, as of who was no labeler."""
        return self.cleaned_data["languages"] if "languages" in self.data else None


class InvitationForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)
    languages = LanguagesField()
    note = forms.CharField(max_length=120, required=False, label=_("For whom?"))
    days = forms.IntegerField(
        min_value=1, max_value=90, initial=INVITATION_DAYS, label=_("Valid for days")
    )


class InvitePeopleForm(forms.Form):
    """Several people at once, by mail."""

    addresses = forms.CharField(
        label=_("Mail addresses"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "kim@example.org, bo@example.org"}),
        help_text=format_lazy(
            _("One a line, or with commas between; up to {most} at once."), most=MOST_AT_ONCE
        ),
    )
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)
    languages = LanguagesField()

    def __init__(self, *args: Any, needs_addresses: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # Any: as Django's form
        self.fields["addresses"].required = needs_addresses

    def clean_addresses(self) -> list[str]:
        return addresses_in(self.cleaned_data["addresses"])


def addresses_in(text: str) -> list[str]:
    """The addresses of a text, each once; a ValidationError names those that are none."""
    found = list(dict.fromkeys(one.strip("<>") for one in re.split(r"[\s,;]+", text) if one))
    wrong = [one for one in found if not _is_address(one)]
    if wrong:
        raise forms.ValidationError(f"No mail address: {', '.join(wrong[:5])}.")
    if len(found) > MOST_AT_ONCE:
        raise forms.ValidationError(
            f"These are {len(found)} addresses; at most {MOST_AT_ONCE} at once."
        )
    return found


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except forms.ValidationError:
        return False
    return len(text) <= 254


def languages_in(text: str) -> list[str]:
    """Language codes in small letters, each once."""
    found = [one for one in re.split(r"[\s,;]+", text) if one]
    wrong = [one for one in found if not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})?", one.lower())]
    if wrong:
        raise forms.ValidationError(f"No language code such as “en” or “pt-br”: {wrong[0][:40]}.")
    return list(dict.fromkeys(one.lower() for one in found))


def first_error(form: forms.BaseForm) -> str:
    """One sentence of what is wrong with a form that has no page of its own."""
    errors: dict[str, Any] = form.errors  # Any: Django's error lists
    return " ".join(f"{field}: {' '.join(texts)}" for field, texts in errors.items())
