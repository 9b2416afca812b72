"""Forms about one's own account."""

from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from annotation.accounts import zones

ZoneChoices = list[tuple[str, list[tuple[str, str]]]]


class SignInForm(LoginForm):  # type: ignore[misc] # allauth has no types
    """Name and password; who opens the page can type at once."""

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature
        super().__init__(*args, **options)
        self.fields["login"].widget.attrs["autofocus"] = True


class TimeZoneForm(forms.Form):
    """Where this person lives, as far as the clock goes."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        widget=forms.Select(attrs={"translate": "no"}),
        help_text=_(
            "Your day begins at midnight there, and times are shown as clocks there show them."
        ),
    )

    def __init__(self, data: QueryDict | None, *, known: str) -> None:
        super().__init__(data, initial={"time_zone": known})
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - what we know
        field.choices = _with(known, zones.choices())


def _with(known: str, choices: ZoneChoices) -> ZoneChoices:
    """The choices and, where it is none of them, what a browser once said."""
    listed = {name for _area, places in choices for name, _place in places}
    return choices if known in listed else [(known, [(known, known)]), *choices]


class TokenForm(forms.Form):
    """What a new API token is called."""

    name = forms.CharField(
        max_length=100,
        label=_("What is it for?"),
        help_text=_("A name for yourself, such as “nightly import”."),
    )
