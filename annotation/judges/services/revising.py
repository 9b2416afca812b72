"""Critique and revision: a run is queued; each candidate that was written anew becomes an edit of it, once."""

import math

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.jobs import ring
from annotation.core.text import canonical
from annotation.demonstrations.services.machines import store_machine_edit
from annotation.generation.models import Candidate
from annotation.generation.sampling import HOTTEST, MOST_TOKENS
from annotation.generation.services.storing import LONGEST_REASON, storable
from annotation.judges.models import Judge, Revision, RevisionRun
from annotation.judges.selectors import unrevised
from annotation.registry.models import ModelVersion

MOST_CANDIDATES = 10_000_000
LONGEST_CRITIQUE, LONGEST_TEXT = 20_000, 100_000  # characters

Outcome = Revision.Outcome


@transaction.atomic
def request_revisions(
    *,
    judge: Judge,
    source: ModelVersion | None = None,
    max_candidates: int = 0,
    max_tokens: int = 256,
    temperature: float = 0.7,
    is_reviewed: bool = True,
    actor: User | None,
) -> RevisionRun:
    """Queue a run over the candidates of policies (of ``source``) that the judge has not revised."""
    _check(judge, source, max_candidates, max_tokens, temperature)
    run = RevisionRun(
        project=judge.project,
        judge=judge,
        source=source,
        max_candidates=max_candidates,
        max_tokens=max_tokens,
        temperature=temperature,
        is_reviewed=is_reviewed,
        progress_unit="candidates",
        created_by=actor,
    )
    run.progress_total = unrevised(run).count()
    if run.progress_total == 0:
        raise Conflict(
            "There is no candidate of a policy that this judge has not revised; ask a policy for some."
        )
    run.save()
    facts = {"judge": judge.pk, "candidates": run.progress_total, "is_reviewed": is_reviewed}
    record("revising.queued", run, actor=actor, **facts)
    ring(run.job, run.pk)
    return run


def _check(
    judge: Judge,
    source: ModelVersion | None,
    max_candidates: int,
    max_tokens: int,
    temperature: float,
) -> None:
    if source is not None and source.project_id != judge.project_id:
        raise InvalidInput.at("source", f"{source} is no model of this project.")
    if not 0 <= max_candidates <= MOST_CANDIDATES:
        raise InvalidInput.at("max_candidates", f"max_candidates is {max_candidates}; 0 means all.")
    if not 1 <= max_tokens <= MOST_TOKENS:
        raise InvalidInput.at(
            "max_tokens", f"max_tokens is {max_tokens}; it lies from 1 to {MOST_TOKENS}."
        )
    if not (math.isfinite(temperature) and 0 <= temperature <= HOTTEST):
        raise InvalidInput.at(
            "temperature", f"temperature is {temperature}; it lies from 0 to {HOTTEST:g}."
        )


@transaction.atomic
def store_revision(
    *, run: RevisionRun, candidate: Candidate, critique: str = "", text: str = "", reason: str = ""
) -> Revision:
    """Keep a critique and what came of it; a text that differs becomes an edit. Doing it again adds nothing."""
    judge = run.judge
    known = Revision.objects.select_for_update().filter(judge=judge, candidate=candidate).first()
    if known is not None and known.outcome != Outcome.FAILED:
        return known
    text = storable(text).strip()
    reason = reason or _why_unusable(text)
    outcome = Outcome.FAILED if reason else Outcome.REVISED
    if not reason and canonical(text) == canonical(candidate.text):
        outcome = Outcome.UNCHANGED
    revision, _ = Revision.objects.update_or_create(
        judge=judge,
        candidate=candidate,
        defaults={
            "run": run,
            "outcome": outcome,
            "critique": storable(critique)[:LONGEST_CRITIQUE],
            "text": text[:LONGEST_TEXT],
            "reason": storable(reason)[:LONGEST_REASON],
        },
    )
    if outcome == Outcome.REVISED:
        revision.demonstration = store_machine_edit(
            source=candidate, author=judge.labeler, text=text, is_reviewed=run.is_reviewed
        )
        revision.save(update_fields=["demonstration"])
    return revision


def _why_unusable(text: str) -> str:
    if not canonical(text):
        return "The model gave an empty text."
    if len(text) > LONGEST_TEXT:
        return f"The text has {len(text)} characters; at most {LONGEST_TEXT} are kept."
    return ""
