"""Forms about one's own account."""

from django import forms


class TokenForm(forms.Form):
    """What a new API token is called."""

    name = forms.CharField(
        max_length=100,
        label="What is it for?",
        help_text="A name for yourself, such as “nightly import”.",
    )
