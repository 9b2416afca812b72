"""Shapes of agreement in the API."""

from collections.abc import Collection
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from annotation.quality.scope import EVERYBODY, LabelerKind, Selected


class ScopeSerializer(serializers.Serializer[Any]):
    """Filters; what is left out lets everything in, but machine judges: they are named, or are in `all`."""

    days = serializers.IntegerField(
        required=False, min_value=1, max_value=3650, help_text="The last so many, back from now."
    )
    since = serializers.DateField(
        required=False, help_text="The first day, by the time zone of who asks."
    )
    until = serializers.DateField(required=False, help_text="The last day, which is in.")
    language = serializers.CharField(required=False, max_length=12)
    tag = serializers.CharField(required=False, max_length=60, help_text="Of the prompt.")
    labeler = serializers.RegexField(
        r"^\d{1,10}(,\d{1,10})*$", required=False, help_text="Ids of labelers, with commas between."
    )
    group = serializers.IntegerField(
        required=False, min_value=1, help_text="Id of a group of labelers."
    )
    labelers = serializers.ChoiceField(choices=[*LabelerKind, EVERYBODY], required=False)
    guideline = serializers.IntegerField(required=False, min_value=1, help_text="A version.")
    criterion = serializers.CharField(required=False, max_length=40)
    batch = serializers.IntegerField(required=False, min_value=1)
    selected = serializers.ChoiceField(
        choices=list(Selected),
        required=False,
        help_text="Comparisons that were asked again for what was said of them, or drawn by what a verdict tells: "
        "with the rest, or alone.",
    )


def filters(names: Collection[str]) -> serializers.Serializer[Any]:
    """Those of these names alone."""
    return inline_serializer("Filters", {one: ScopeSerializer().fields[one] for one in names})


class AgreementSerializer(serializers.Serializer[Any]):
    """The report: each statistic is ``{value, interval, n, reason}``; undefined ones say why."""

    computed_at = serializers.DateTimeField(allow_null=True)
    is_current = serializers.BooleanField(help_text="False while newer judgments wait.")
    report = serializers.JSONField()


class SignalsSerializer(serializers.Serializer[Any]):
    """Figures of signals: each statistic is ``{value, interval, n, reason}``."""

    signals = serializers.IntegerField()
    responses = serializers.IntegerField()
    people = serializers.IntegerField()
    statistics = serializers.JSONField()
    sources = serializers.JSONField()
