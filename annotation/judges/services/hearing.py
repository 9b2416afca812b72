"""Hearing comparisons: a run is queued, cancelled, resumed.

What a judge said is kept, once; it comes to a judgment or not.
"""

from uuid import UUID, uuid5

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.comparisons.models import Comparison
from annotation.comparisons.services.machines import store_machine_judgment
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import JobModel, ring
from annotation.generation.services.storing import LONGEST_REASON, storable
from annotation.judges.models import Hearing, Judge, JudgeRun
from annotation.judges.selectors import wanted
from annotation.judges.verdicts import Answer, conclude

MOST_COMPARISONS = 10_000_000
LONGEST_SAID = 2_000  # characters of an answer that are kept
UUIDS = UUID("9d4b1c1e-3a0e-4a51-8f0e-8a2c2f6f5d11")  # the namespace of machine judgments


@transaction.atomic
def request_hearing(
    *,
    judge: Judge,
    wanted_comparisons: str = JudgeRun.Wanted.JUDGED,
    max_comparisons: int = 0,
    actor: User | None,
) -> JudgeRun:
    """Queue a run over the comparisons that the judge has not heard."""
    if wanted_comparisons not in JudgeRun.Wanted:
        known = ", ".join(JudgeRun.Wanted.values)
        raise InvalidInput.at(
            "wanted", f"wanted is {wanted_comparisons[:40]!r}; choose one of {known}."
        )
    if not 0 <= max_comparisons <= MOST_COMPARISONS:
        raise InvalidInput.at(
            "max_comparisons", f"max_comparisons is {max_comparisons}; 0 means all."
        )
    run = JudgeRun(
        project=judge.project,
        judge=judge,
        wanted=wanted_comparisons,
        max_comparisons=max_comparisons,
        progress_unit="comparisons",
        created_by=actor,
    )
    run.progress_total = wanted(run).count()
    if run.progress_total == 0:
        raise Conflict(_nothing_to_hear(run))
    run.save()
    record("judging.queued", run, actor=actor, judge=judge.pk, comparisons=run.progress_total)
    ring(run.job, run.pk)
    return run


def _nothing_to_hear(run: JudgeRun) -> str:
    if run.wanted == JudgeRun.Wanted.JUDGED:
        return (
            "There is no comparison that people have judged and this judge has not heard. Let people "
            "judge some, or choose other comparisons."
        )
    return "This judge has heard all of these comparisons already; make or import more."


@transaction.atomic
def cancel(*, run: JobModel, actor: User | None) -> None:
    """Stop a run of a judge; what it has stored stays."""
    if run.is_over:
        raise Conflict(f"This run is {run.status} already; there is nothing to cancel.")
    run.request_cancel()
    record("judging.cancelled", run, actor=actor)


@transaction.atomic
def resume(*, run: JobModel, left: int, actor: User | None) -> None:
    """Queue a run again that ended early or with failures; it goes on with the ``left`` that lack."""
    if left == 0:
        raise Conflict("Nothing of this run lacks an answer; there is nothing to resume.")
    if not run.queue_again():
        raise Conflict("This run is under way already.")
    record("judging.resumed", run, actor=actor, left=left)


@transaction.atomic
def store_hearing(
    *, run: JudgeRun, comparison: Comparison, answers: list[Answer], reason: str = ""
) -> Hearing:
    """Keep all answers about one comparison; a verdict that stands in both orders becomes a judgment.

    Doing it again stores nothing twice; only a hearing that failed is heard anew.
    """
    judge = run.judge
    known = Hearing.objects.select_for_update().filter(judge=judge, comparison=comparison).first()
    if known is not None and known.outcome != Hearing.Outcome.FAILED:
        return known
    outcome, ranking = conclude(comparison.candidate_ids, answers, is_failed=bool(reason))
    hearing, _ = Hearing.objects.update_or_create(
        judge=judge,
        comparison=comparison,
        defaults={
            "run": run,
            "outcome": outcome,
            "answers": [_as_json(one) for one in answers],
            "ranking": ranking,
            "reason": storable(reason)[:LONGEST_REASON],
        },
    )
    if outcome == Hearing.Outcome.JUDGED:
        hearing.judgment = store_machine_judgment(
            comparison=comparison,
            labeler=judge.labeler,
            client_uuid=uuid5(UUIDS, f"{judge.pk}:{comparison.pk}"),
            ranking=ranking,
        )
        hearing.save(update_fields=["judgment"])
    return hearing


def _as_json(answer: Answer) -> dict[str, object]:
    said = storable(answer.said)
    return {
        "first": answer.first,
        "second": answer.second,
        "repeat": answer.repeat,
        "verdict": answer.verdict,
        "said": said if len(said) <= LONGEST_SAID else f"… {said[-LONGEST_SAID:]}",
    }
