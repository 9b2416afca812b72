"""What labelers are asked: how many judge a comparison, and how much is gold or comes again; tried on history."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, Sum

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison
from annotation.comparisons.selectors import judgments_of_people
from annotation.projects.models import Project
from annotation.projects.services.projects import apply_settings

SHARES = ("overlap_share", "gold_share", "repeat_share")
SETTINGS = ("overlap", *SHARES, "min_reading_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked so far, beside what these settings would have asked of the same comparisons and answers."""

    overlap: int
    comparisons: int  # judged, gold apart
    labels: int
    labels_wanted: int
    shared: int  # comparisons that two people or more judged: agreement is measured on them
    shared_wanted: int
    answers: int  # of people, given here, gold and repeats with them
    gold: int
    gold_wanted: int
    repeats: int
    repeats_wanted: int
    quick: int  # counted answers with a known time under the shortest reading time


def try_asking(*, project: Project, settings: Mapping[str, object]) -> Asked:
    """What the settings would have asked; InvalidInput where one is wrong. Writes nothing."""
    tried = Project.objects.get(pk=project.pk)
    apply_settings(tried, settings)
    judged = project.comparisons.filter(judgments_counted__gt=0).exclude(kind=Comparison.Kind.GOLD)
    had = judged.aggregate(
        comparisons=Count("pk"),
        labels=Sum("judgments_counted"),
        shared=Count("pk", filter=Q(judgments_counted__gt=1)),
    )
    quick = Q(active_ms__gt=0, active_ms__lt=1000 * tried.min_reading_seconds)
    counted = judgments_of_people(project).filter(is_imported=False)
    answers = _answers(project)
    drawn = had["comparisons"] * tried.overlap_share
    return Asked(
        overlap=tried.overlap,
        comparisons=had["comparisons"],
        labels=had["labels"] or 0,
        labels_wanted=round(had["comparisons"] + drawn * (tried.overlap - 1)),
        shared=had["shared"],
        shared_wanted=round(drawn) if tried.overlap > 1 else 0,
        quick=counted.filter(quick).count(),
        gold_wanted=round(answers["answers"] * tried.gold_share),
        repeats_wanted=round(answers["answers"] * tried.repeat_share),
        **answers,
    )


def _answers(project: Project) -> dict[str, int]:
    """Answers of people given here, and how many of them were gold or came a second time."""
    rows = project.judgments.filter(withdrawn_at=None, is_imported=False)
    return rows.exclude(labeler__kind=User.Kind.MACHINE).aggregate(
        answers=Count("pk"),
        gold=Count("pk", filter=Q(comparison__kind=Comparison.Kind.GOLD)),
        repeats=Count("pk", filter=Q(is_repeat=True)),
    )
