"""Forms of labeling: an answer as the plain form posts it, for browsers without JavaScript, and preferences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.comparisons.keys import KEYS, keys_of
from annotation.comparisons.models import LabelerSettings
from annotation.comparisons.services.preferences import LONGEST_STRETCH_MINUTES
from annotation.comparisons.verdicts import STRENGTHS, CriterionVerdict, largest_strength
from annotation.core.errors import InvalidInput
from annotation.core.text import LAST_KEY, is_key

ALL_BAD = "all_bad"
TIE = "tie"
CRITERION = "criterion-"
LARGEST_RANK = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What `submit_judgment` takes of a form."""

    client_uuid: UUID
    ranking: list[list[int]]
    strengths: list[int]
    is_all_bad: bool
    criteria: dict[str, CriterionVerdict] = field(default_factory=dict)
    rationale: str = ""
    active_ms: int = 0
    guideline_version: int | None = None


class UndoForm(forms.Form):
    """What to take back: a judgment by its UUID, a skip by its assignment, else the newest act."""

    client_uuid = forms.UUIDField(required=False)
    assignment = forms.IntegerField(required=False, min_value=1, max_value=LAST_KEY)


class PreferencesForm(forms.Form):
    """How a labeler likes to work; one field for each act that has a key."""

    break_after_minutes = forms.IntegerField(
        min_value=0,
        max_value=LONGEST_STRETCH_MINUTES,
        label=gettext_lazy("Remind me of a break after (minutes of work)"),
        help_text=gettext_lazy("0 means no reminder."),
    )
    is_upsetting_blurred = forms.BooleanField(
        required=False,
        label=gettext_lazy("Blur content that others found upsetting, until I ask for it"),
    )

    def __init__(self, data: Any, *, preferences: LabelerSettings) -> None:  # Any: a QueryDict
        super().__init__(
            data,
            initial={
                "break_after_minutes": preferences.break_after_minutes,
                "is_upsetting_blurred": preferences.is_upsetting_blurred,
            },
        )
        choices = [(key, key.upper()) for key in KEYS]
        for bound in keys_of(preferences.keys):
            self.fields[bound.name] = forms.ChoiceField(
                choices=choices, label=str(bound.words), initial=bound.key
            )

    @property
    def key_fields(self) -> list[forms.BoundField]:
        return [self[bound.name] for bound in keys_of({})]

    def chosen_keys(self) -> dict[str, str]:
        """Act -> key, as sent."""
        return {bound.name: self.cleaned_data[bound.name] for bound in keys_of({})}


def answer_from(fields: Mapping[str, str], candidate_ids: list[int], *, scale: str) -> Answer:
    """The answer in posted fields, by the steps of ``scale``. Raises InvalidInput naming what is missing."""
    largest = largest_strength(scale)
    is_all_bad = ALL_BAD in (fields.get("overall"), fields.get("all_bad"))
    ranking, strengths = ([], []) if is_all_bad else _verdict(fields, candidate_ids, largest)
    return Answer(
        client_uuid=_uuid(fields.get("client_uuid", "")),
        ranking=ranking,
        strengths=strengths,
        is_all_bad=is_all_bad,
        criteria=_criteria(fields, candidate_ids, largest),
        rationale=fields.get("rationale", ""),
        active_ms=_whole(fields.get("active_ms", "")) or 0,
        guideline_version=_whole(fields.get("guideline_version", "")),
    )


def _whole(value: str) -> int | None:
    """The number that a hidden field holds; None where a script or a person left no number there."""
    return int(value) if is_key(value) else None


def _criteria(
    fields: Mapping[str, str], candidate_ids: list[int], largest: int
) -> dict[str, CriterionVerdict]:
    """The criteria that were answered: `criterion-NAME` of a pair, `criterion-CANDIDATE-NAME` of more."""
    given = {
        name.removeprefix(CRITERION): value
        for name, value in fields.items()
        if name.startswith(CRITERION) and value
    }
    if len(candidate_ids) > 2:
        return _ranked_criteria(given, candidate_ids, largest)
    criteria: dict[str, CriterionVerdict] = {}
    for name, value in given.items():
        ranking, strengths = _step(value, candidate_ids)
        criteria[name] = {"ranking": ranking, "strengths": strengths}
    return criteria


def _ranked_criteria(
    given: Mapping[str, str], candidate_ids: list[int], largest: int
) -> dict[str, CriterionVerdict]:
    """Criteria of a ranking, from `CANDIDATE-NAME` -> rank; those that rank only some of the responses are refused."""
    criteria: dict[str, CriterionVerdict] = {}
    for name in sorted({key.partition("-")[2] for key in given}):
        ranks = {pk: given.get(f"{pk}-{name}", "") for pk in candidate_ids}
        if not all(ranks.values()):
            raise InvalidInput(
                _("Rank every response under “%(criterion)s”, or none.") % {"criterion": name}
            )
        ranking, strengths = tiers_from_ranks(
            {pk: _rank(value) for pk, value in ranks.items()}, largest=largest
        )
        criteria[name] = {"ranking": ranking, "strengths": strengths}
    return criteria


def _verdict(
    fields: Mapping[str, str], candidate_ids: list[int], largest: int
) -> tuple[list[list[int]], list[int]]:
    if len(candidate_ids) == 2:
        return _step(fields.get("overall", ""), candidate_ids)
    ranks = {pk: _rank(fields.get(f"rank-{pk}", "")) for pk in candidate_ids}
    return tiers_from_ranks(ranks, largest=largest)


def tiers_from_ranks(
    ranks: Mapping[int, int], *, largest: int = max(STRENGTHS)
) -> tuple[list[list[int]], list[int]]:
    """Tiers and strengths of ranks: equal ranks tie, the distance of two is the strength, at most ``largest``."""
    ordered = sorted(ranks, key=lambda pk: (ranks[pk], pk))
    groups = [(rank, list(group)) for rank, group in groupby(ordered, key=lambda pk: ranks[pk])]
    levels = [rank for rank, _group in groups]
    steps = [min(low - high, largest) for high, low in pairwise(levels)]
    return [group for _level, group in groups], steps


def _rank(value: str) -> int:
    if not is_key(value) or not 1 <= int(value) <= LARGEST_RANK:
        raise InvalidInput(
            _("Give every response a rank from 1 to %(largest)s, or say all bad.")
            % {"largest": LARGEST_RANK}
        )
    return int(value)


def _step(value: str, candidate_ids: list[int]) -> tuple[list[list[int]], list[int]]:
    if value == TIE:
        return [sorted(candidate_ids)], []
    better, _colon, strength = value.partition(":")
    if not (is_key(better) and is_key(strength)) or int(better) not in candidate_ids:
        raise InvalidInput(_("Choose which response is better, or that they are about the same."))
    others = [pk for pk in candidate_ids if pk != int(better)]
    return [[int(better)], others], [int(strength)]


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise InvalidInput(_("The form has lost its client_uuid; load the page again.")) from error
