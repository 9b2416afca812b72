"""The form of a new webhook."""

from django import forms

from annotation.webhooks.models import LONGEST_URL, Event


class WebhookForm(forms.Form):
    url = forms.URLField(
        max_length=LONGEST_URL,
        label="Address",
        assume_scheme="https",
        help_text="It begins with https:// and is reached over the open internet.",
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/concord"}),
    )
    events = forms.MultipleChoiceField(
        choices=Event.choices, widget=forms.CheckboxSelectMultiple, label="Tell it when"
    )
    alert_below = forms.FloatField(
        min_value=-1,
        max_value=1,
        initial=0.4,
        label="Limit of agreement",
        help_text="Krippendorff’s alpha, ordinal. Told once each time it falls below.",
    )
