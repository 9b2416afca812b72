"""What pausing or retraining a labeler would mean, told from what was judged so far. No judgment is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.utils import timezone

from annotation.comparisons.exams import exam_of, sequential_test
from annotation.comparisons.gold import gold_answers, is_right_answer
from annotation.comparisons.selectors import leases_of
from annotation.core.errors import InvalidInput
from annotation.measures.labelers import EntryExam
from annotation.projects.models import Membership, Project
from annotation.quality import rules, storing
from annotation.quality.columns import PairColumns
from annotation.quality.dryrun import DryRun, effects_of
from annotation.quality.exclusions import Exclusion
from annotation.quality.models import LabelerAct
from annotation.quality.scoped import columns_that_count

DAYS = 30
TRIED = (LabelerAct.Kind.PAUSE, LabelerAct.Kind.RETRAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamReplay:
    """The entry exam as it is set now, held on gold answers of real work, oldest first."""

    answers: int
    right: int
    has_passed: bool | None  # None: these answers do not decide it
    decided_after: int | None  # answers


@dataclass(frozen=True, slots=True, kw_only=True)
class ActPreview:
    """History as if the act had been done ``days`` ago, and what it would take now."""

    kind: str
    days: int
    judgments: int  # of everybody who counts, in these days
    judgments_theirs: int  # of the labeler, in these days
    in_hand: int  # comparisons leased to them now
    dry_run: DryRun
    exam: ExamReplay | None  # of retraining alone

    @property
    def share(self) -> float | None:
        """Of the labels of these days."""
        return self.judgments_theirs / self.judgments if self.judgments else None

    @property
    def longer(self) -> float | None:
        """By what share the others would take longer for the same labels; None where nobody else gave any."""
        others = self.judgments - self.judgments_theirs
        return self.judgments_theirs / others if others else None


def preview_of(*, member: Membership, kind: str) -> ActPreview:
    """What an act of this kind about a labeler would mean. Raises InvalidInput for a kind that changes no work."""
    if kind not in TRIED:
        known = ", ".join(TRIED)
        raise InvalidInput.at("kind", f"Only {known} can be tried on history, not {kind[:60]!r}.")
    project = member.project
    since = timezone.now() - timedelta(days=DAYS)
    storing.fold_changes(project=project)
    columns = columns_that_count(project, counted=rules.counted_machines(project))
    left_out = Exclusion(rule=0, version=0, labelers=(member.user_id,), since=since)
    is_retrain = kind == LabelerAct.Kind.RETRAIN
    return ActPreview(
        kind=kind,
        days=DAYS,
        judgments=_judgments(columns, columns.given_at >= int(since.timestamp())),
        judgments_theirs=_judgments(columns, left_out.mask(columns)),
        in_hand=leases_of(project).filter(labeler_id=member.user_id).count(),
        dry_run=effects_of(columns, already=rules.exclusions_of(project), exclusion=left_out),
        exam=_replayed(project, member.user_id) if is_retrain else None,
    )


def _judgments(columns: PairColumns, mask: np.ndarray) -> int:
    return len(np.unique(columns.judgments[mask]))


def _replayed(project: Project, labeler_id: int) -> ExamReplay:
    answers = gold_answers(project).exclude(assignment__is_training=True)
    rights = [is_right_answer(one) for one in answers.filter(labeler_id=labeler_id)]
    return replay(sequential_test(exam_of(project)), rights)


def replay(test: EntryExam, rights: Sequence[bool]) -> ExamReplay:
    """How the test goes on these answers, and after how many it is decided."""
    score = 0.0
    for number, right in enumerate(rights, start=1):
        score += test.step_right if right else test.step_wrong
        if not test.fail_at < score < test.pass_at:
            return ExamReplay(
                answers=len(rights),
                right=sum(rights),
                has_passed=score >= test.pass_at,
                decided_after=number,
            )
    return ExamReplay(answers=len(rights), right=sum(rights), has_passed=None, decided_after=None)
