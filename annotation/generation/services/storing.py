"""Storing what a policy said: each response once, whatever it contains, whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from annotation.core.text import fingerprint
from annotation.generation.models import Candidate, GenerationRun, PromptOutcome
from annotation.prompts.models import Prompt

LONGEST_RESPONSE = 500_000  # characters
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response as it came from a policy."""

    text: str
    is_finished: bool = True
    token_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How many responses became candidates, and how many had been said before."""

    candidates: int
    duplicates: int


@transaction.atomic
def store_candidates(
    *,
    run: GenerationRun,
    prompt: Prompt,
    responses: Sequence[Response],
    reason: str = "",
    prompt_tokens_cut: int = 0,
) -> Stored:
    """Keep the responses to one prompt and how it went, together. Doing it again adds nothing twice.

    ``prompt_tokens_cut`` are those of the prompt's beginning that the policy was not shown.
    """
    fitting = [one for one in responses if len(one.text) <= LONGEST_RESPONSE]
    if len(fitting) < len(responses):
        reason = reason or (
            f"A response had more than {LONGEST_RESPONSE} characters and was not kept; "
            "lower max_tokens."
        )
    rows = _new_rows(run, prompt, fitting)
    Candidate.objects.bulk_create(rows, ignore_conflicts=True)  # another run may be faster
    made = Candidate.objects.filter(run=run, prompt=prompt).count()
    outcome, _ = PromptOutcome.objects.update_or_create(
        run=run,
        prompt=prompt,
        defaults={
            "candidates": made,
            "duplicates": max(0, len(fitting) - made),
            "candidate_ids": _said(run, prompt, fitting),
            "reason": storable(reason)[:LONGEST_REASON],
            "prompt_tokens_cut": prompt_tokens_cut,
        },
    )
    return Stored(candidates=outcome.candidates, duplicates=outcome.duplicates)


def _said(run: GenerationRun, prompt: Prompt, responses: Sequence[Response]) -> list[int]:
    """The candidates of these responses and of what this run said before, each once, no more than it asks for."""
    before = PromptOutcome.objects.filter(run=run, prompt=prompt).values_list("candidate_ids")
    (said,) = before.first() or ([],)
    marks = [fingerprint([storable(one.text)]) for one in responses]
    there = Candidate.objects.filter(prompt=prompt, fingerprint__in=marks)
    known = dict(there.values_list("fingerprint", "pk"))
    added = [known[mark] for mark in marks if mark in known]
    return list(dict.fromkeys([*said, *added]))[: run.per_prompt]


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold: NUL and lone surrogates become U+FFFD."""
    text = text.replace("\x00", "\ufffd")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _new_rows(run: GenerationRun, prompt: Prompt, responses: Sequence[Response]) -> list[Candidate]:
    """Candidates for what nobody said before, no more than the run asks for."""
    known = set(Candidate.objects.filter(prompt=prompt).values_list("fingerprint", flat=True))
    room = run.per_prompt - Candidate.objects.filter(run=run, prompt=prompt).count()
    rows: dict[str, Candidate] = {}
    for index, response in enumerate(responses):
        text = storable(response.text)
        mark = fingerprint([text])
        if mark not in known and mark not in rows and len(rows) < room:
            rows[mark] = _row(run, prompt, index, text, mark, response)
    return list(rows.values())


def _row(
    run: GenerationRun, prompt: Prompt, index: int, text: str, mark: str, response: Response
) -> Candidate:
    return Candidate(
        project_id=run.project_id,
        prompt=prompt,
        run=run,
        policy_id=run.policy_id,
        source=Candidate.Source.POLICY,
        source_name=f"{run.policy.name} v{run.policy.number}",
        sample_index=index,
        text=text,
        fingerprint=mark,
        is_finished=response.is_finished,
        token_count=response.token_count,
    )
