"""Forms about one's own account."""

from django import forms
from django.utils.translation import gettext_lazy as _


class TokenForm(forms.Form):
    """What a new API token is called."""

    name = forms.CharField(
        max_length=100,
        label=_("What is it for?"),
        help_text=_("A name for yourself, such as “nightly import”."),
    )
