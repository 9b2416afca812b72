"""Verdicts of machine judges, stored as judgments of their labelers (docs/adr/0006).

They take no place from people: each brings its own place to its comparison, as a judgment of an imported file does.
A judge sees every order, so none is recorded as the one shown.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import F

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import verdicts
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.services.judging import ring_agreement
from annotation.projects.selectors import current_guideline

MACHINE_STRENGTH = 1  # a judge is asked which is better, not how much


@transaction.atomic
def store_machine_judgment(
    *,
    comparison: Comparison,
    labeler: User,
    client_uuid: UUID,
    ranking: Sequence[Sequence[int]],
) -> Judgment:
    """Keep a verdict; the same ``client_uuid`` again gives the same judgment, and stores nothing."""
    rows = Comparison.objects.select_for_update(of=("self",)).select_related("project")
    row = rows.get(pk=comparison.pk)
    if earlier := Judgment.objects.filter(client_uuid=client_uuid, labeler=labeler).first():
        return earlier
    strengths = [MACHINE_STRENGTH] * (len(ranking) - 1)
    verdicts.check_ranking(row.candidate_ids, ranking, strengths)
    verdicts.check_scale(row.project.answer_scale, ranking, strengths)
    judgment = Judgment.objects.create(
        project=row.project,
        comparison=row,
        labeler=labeler,
        guideline=current_guideline(row.project),
        client_uuid=client_uuid,
        ranking=[sorted(tier) for tier in ranking],
        strengths=strengths,
    )
    Comparison.objects.filter(pk=row.pk).update(
        overlap=F("overlap") + 1,
        slots_taken=F("slots_taken") + 1,
        judgments_counted=F("judgments_counted") + 1,
    )
    audit.record("judgment.submitted", judgment, actor=labeler, is_counted=True)
    ring_agreement(row.project_id)
    return judgment
