"""Forms about a project."""

import hashlib
import re
from typing import Any

from django import forms
from django.core.validators import validate_email
from django.http import QueryDict
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotation.core.text import with_lines
from annotation.projects.models import Criterion, Guideline, Project, Role
from annotation.projects.services.inviting import MOST_AT_ONCE
from annotation.projects.services.members import INVITATION_DAYS
from annotation.projects.settings_forms import sent_with


class NewProjectForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = Project
        fields = ["name", "description"]
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}
        labels = {"name": _("Name"), "description": _("Description")}
        help_texts = {"description": _("What is judged here, and what for. Members read it.")}


class GuidelineForm(forms.Form):
    """The text, and what it was written from: a version, 0 for none, and its text, which a set-up changes in place."""

    from_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    from_text = forms.CharField(required=False, widget=forms.HiddenInput)  # its digest
    text = forms.CharField(
        max_length=200_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 16}),
        label=_("Guideline (Markdown)"),
    )

    def __init__(self, data: QueryDict | None, *, current: Guideline | None) -> None:
        self.current = current
        self.newer: Guideline | None = None
        self.is_amended = False
        text, version = (with_lines(current.text), current.version) if current else ("", 0)
        initial = {"text": text, "from_version": version, "from_text": digest(text)}
        super().__init__(data, initial=initial)

    def clean_text(self) -> str:
        return with_lines(self.cleaned_data["text"])

    def clean(self) -> dict[str, Any]:  # Any: Django's own
        """Refuse what was written from a text that is not the newest, once: ``newer`` is to be read beside it."""
        newest = self.initial["from_version"]
        is_newer = self.cleaned_data.get("from_version") not in {None, newest}
        self.is_amended = not is_newer and self._is_otherwise()
        if not is_newer and not self.is_amended:
            return self.cleaned_data
        self.newer = self.current
        now = {name: self.initial[name] for name in ("from_version", "from_text")}
        self.data = sent_with(self.data, now)
        published = gettext(
            "Version %(version)s was published while you wrote. Read it here, then send yours again; "
            "it follows that one."
        )
        amended = gettext(
            "Somebody changed the guideline while you wrote. Read theirs here, then send yours again; "
            "it takes the place of that."
        )
        raise forms.ValidationError(published % {"version": newest} if is_newer else amended)

    def _is_otherwise(self) -> bool:
        """Whether the text that this one was written from is there no more, and this one is not what is there now."""
        was, now = self.cleaned_data.get("from_text"), self.initial["from_text"]
        return was not in {"", now} and digest(self.cleaned_data.get("text", "")) != now

    def start_anew(self) -> None:
        """A page that stays open goes on from the text that was saved."""
        now = {"from_version": self.initial["from_version"] or 1}
        self.data = sent_with(self.data, {**now, "from_text": digest(self.cleaned_data["text"])})

    def starts(self) -> list[SafeString]:
        """The hidden fields, to be put in place of those in a page that is open; none while a newer text is unread."""
        if self.newer:
            return []
        return [one.as_hidden(attrs={"hx-swap-oob": "true"}) for one in self.hidden_fields()]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class CriterionForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = Criterion
        fields = ["name", "title", "question"]
        labels = {
            "name": _("Name"),
            "title": _("Title"),
            "question": _("Question to the labeler"),
        }
        help_texts = {
            "name": _("Small letters, digits and hyphens, such as “follows-format”."),
            "title": _(
                "What labelers read instead of the name, such as “Follows the format”. Empty: it stays."
            ),
        }

    def clean_title(self) -> str | None:
        return self.cleaned_data["title"] or None


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
