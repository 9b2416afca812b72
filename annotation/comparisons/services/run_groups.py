"""When what generation runs stored is compared: at once, or once all that were begun together have answered."""

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from annotation.comparisons.models import ComparisonCandidate
from annotation.comparisons.services.pairing import (
    PROMPTS_AT_ONCE,
    Pairing,
    pair_candidates,
    pair_prompts,
)
from annotation.core.jobs import JobModel
from annotation.generation.models import Candidate, GenerationRun, RunGroup
from annotation.generation.selectors import is_awaited
from annotation.prompts.models import Prompt

UNDER_WAY = (JobModel.Status.QUEUED, JobModel.Status.RUNNING)
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


@transaction.atomic
def _end(pk: int) -> bool:
    """Whoever resumes a run of the group meanwhile waits, and opens the group again."""
    group = RunGroup.objects.select_for_update().get(pk=pk)
    if group.paired_at is not None or group.runs.filter(status__in=UNDER_WAY).exists():
        return False
    compared = ComparisonCandidate.objects.filter(candidate=OuterRef("pk"))
    said = Candidate.objects.filter(~Exists(compared), run__group=group)
    left = sorted(said.values_list("prompt", flat=True).distinct())
    for start in range(0, len(left), PROMPTS_AT_ONCE):
        chunk = left[start : start + PROMPTS_AT_ONCE]
        pair_prompts(project=group.project, prompt_ids=chunk, pairing=ACROSS)
    group.paired_at = timezone.now()
    group.save(update_fields=["paired_at"])
    return True
