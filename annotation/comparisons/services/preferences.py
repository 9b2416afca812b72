"""How one labeler likes to work: their keys, their breaks, and whether upsetting content is blurred."""

from collections.abc import Mapping

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.keys import check_keys
from annotation.comparisons.models import LabelerSettings
from annotation.core.errors import InvalidInput

LONGEST_STRETCH_MINUTES = 240


@transaction.atomic
def save_preferences(
    *,
    labeler: User,
    keys: Mapping[str, str],
    break_after_minutes: int,
    is_upsetting_blurred: bool,
) -> LabelerSettings:
    """Store them for every project. Raises InvalidInput naming the field that is wrong."""
    if not 0 <= break_after_minutes <= LONGEST_STRETCH_MINUTES:
        raise InvalidInput.at(
            "break_after_minutes",
            f"{break_after_minutes} minutes is outside 0 to {LONGEST_STRETCH_MINUTES}; 0 means no reminder.",
        )
    row, _created = LabelerSettings.objects.update_or_create(
        labeler=labeler,
        defaults={
            "keys": check_keys(keys),
            "break_after_minutes": break_after_minutes,
            "is_upsetting_blurred": is_upsetting_blurred,
        },
    )
    audit.record("labeler.preferences_saved", row, actor=labeler)
    return row
