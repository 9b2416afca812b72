"""When what generation runs stored is compared: at once, or once all that were begun together have answered."""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from annotation.comparisons.selectors import is_compared
from annotation.comparisons.services.pairing import (
    PROMPTS_AT_ONCE,
    Pairing,
    pair_candidates,
    pair_prompts,
)
from annotation.core.jobs import UNDER_WAY
from annotation.generation.models import Candidate, GenerationRun, RunGroup
from annotation.generation.selectors import is_awaited
from annotation.prompts.models import Prompt

logger = logging.getLogger(__name__)
ACROSS = Pairing(is_across=True)


def pair_answered(*, run: GenerationRun, prompt: Prompt) -> None:
    """Compare what a run said to a prompt, in the transaction that stores it.

    Of runs begun together the last to answer does, across policies.
    """
    if run.group_id is None:
        pair_candidates(project=run.project, prompt=prompt)
        return
    # Of two that answer at the same time the second waits here, and then sees what the first has stored.
    Prompt.objects.select_for_update(no_key=True).get(pk=prompt.pk)
    if not is_awaited(run, prompt):
        pair_prompts(project=run.project, prompt_ids=[prompt.pk], pairing=ACROSS)


def pair_what_is_left() -> int:
    """Of groups whose runs are all over, compare what waited for one that did not answer; how many groups ended."""
    under_way = GenerationRun.objects.filter(group=OuterRef("pk"), status__in=UNDER_WAY)
    over = RunGroup.objects.filter(~Exists(under_way), paired_at=None).order_by("pk")
    return sum(_end(pk) for pk in over.values_list("pk", flat=True))


def _end(pk: int) -> bool:
    """Whether the group ended. One that cannot is logged, and holds up no other; the next sweep tries again."""
    try:
        left = _left(pk)
        chunks = [left[at : at + PROMPTS_AT_ONCE] for at in range(0, len(left), PROMPTS_AT_ONCE)]
        return all(_pair(pk, chunk) for chunk in chunks) and _close(pk)
    except DatabaseError:
        logger.exception("run_group.not_ended", extra={"group": pk})
        return False


def _left(pk: int) -> list[int]:
    said = Candidate.objects.filter(~is_compared(), run__group=pk)
    return sorted(said.values_list("prompt", flat=True).distinct())


@transaction.atomic
def _pair(pk: int, prompt_ids: Sequence[int]) -> bool:
    group = _over(pk)
    if group is None:
        return False
    pair_prompts(project=group.project, prompt_ids=prompt_ids, pairing=ACROSS)
    return True


@transaction.atomic
def _close(pk: int) -> bool:
    group = _over(pk)
    if group is None:
        return False
    group.paired_at = timezone.now()
    group.save(update_fields=["paired_at"])
    return True


def _over(pk: int) -> RunGroup | None:
    """The group, unless it ended or goes on; whoever adds to it or resumes a run of it meanwhile waits."""
    group = RunGroup.objects.select_for_update().filter(pk=pk, paired_at=None).first()
    if group is None or group.runs.filter(status__in=UNDER_WAY).exists():
        return None
    return group
