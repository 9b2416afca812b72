"""The bench of a project as labelers will have it, to be looked at: nothing is leased, and nothing can be sent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.comparisons.batches import BatchAtHand, batch_as_told, deadline_of
from annotation.comparisons.bench import (
    Bench,
    Marked,
    ShownCandidate,
    answer_keys,
    shown_candidates,
    shown_turns,
)
from annotation.comparisons.keys import keys_of
from annotation.comparisons.letters import LETTERS
from annotation.comparisons.models import Comparison
from annotation.comparisons.selectors import Response, responses_of
from annotation.comparisons.stations import Asked
from annotation.comparisons.worddiff import word_diff
from annotation.projects.models import Project
from annotation.ui import markdown

FIRST_COMPARISON = _("Your first comparison.")
FIRST_PROMPT = _("Your first prompt with its responses.")
MADE_UP_RESPONSES = _("Your first prompt; the responses are made up.")
MADE_UP = _("A made-up comparison: no prompt is here yet.")
SAMPLE_PROMPT = _("A prompt from your file will stand here. This one is made up.")
SAMPLE_RESPONSES = (
    _("A response will stand here. This one is made up."),
    _(
        "A longer response, made up too:\n\n1. Labelers read every response to its end.\n"
        "2. They do not see **which model** wrote it.\n3. The sides are drawn anew for each labeler."
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a project asks of its labelers, saved or not yet."""

    project: Project
    criteria: Sequence[Asked]
    guideline: str
    guideline_version: int
    size: int  # responses of one comparison
    is_size_planned: bool  # else those that are there decide
    is_about_guideline: bool = False  # its sheet is open


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is compared in a preview, and where it comes from."""

    origin: str | Promise
    turns: Sequence[Mapping[str, str]]
    responses: Mapping[int, Response]
    batch: BatchAtHand | None = None


def preview_context(draft: Draft) -> dict[str, Any]:  # Any: a template's context
    """What the template of a preview reads."""
    sample, keys = sample_of(draft), keys_of({})
    bench = Bench(
        lease=Marked(pk="", seconds_left=str(draft.project.lease_seconds), project=draft.project),
        client_uuid="",
        turns=shown_turns(sample.turns),
        candidates=_candidates(sample),
        criteria=draft.criteria,
        is_upsetting=False,
    )
    return {
        "project": draft.project,
        "bench": bench,
        "origin": sample.origin,
        "batch": sample.batch,
        "deadline": deadline_of(draft.project, sample.batch),
        "keys": keys,
        "keys_json": json.dumps({one.name: one.key for one in keys}),
        "answer_keys": answer_keys(draft.project.answer_scale),
        "guideline": draft.guideline,
        "guideline_version": draft.guideline_version,
        "guideline_html": markdown.render(draft.guideline),
        "is_guideline_open": draft.is_about_guideline,
    }


def sample_of(draft: Draft) -> Sample:
    """The project's first comparison, its first prompt, or a sample that says that it is made up."""
    first = draft.project.comparisons.exclude(kind=Comparison.Kind.GOLD).order_by("pk")
    row = first.select_related("prompt").first()
    if row and (len(row.candidate_ids) == draft.size or not draft.is_size_planned):
        return Sample(
            origin=FIRST_COMPARISON,
            turns=row.prompt.turns,
            responses=responses_of(row.candidate_ids),
            batch=batch_as_told(row.batch_id),
        )
    prompt = row.prompt if row else draft.project.prompts.order_by("pk").first()
    if prompt is None:
        turns = [{"role": "user", "content": str(SAMPLE_PROMPT)}]
        return Sample(origin=MADE_UP, turns=turns, responses=_made_up(draft.size))
    keys = list(prompt.candidates.order_by("pk").values_list("pk", flat=True)[: draft.size])
    if len(keys) == draft.size:
        return Sample(origin=FIRST_PROMPT, turns=prompt.turns, responses=responses_of(keys))
    return Sample(origin=MADE_UP_RESPONSES, turns=prompt.turns, responses=_made_up(draft.size))


def _candidates(sample: Sample) -> list[ShownCandidate]:
    """As labelers have them, a pair with its word diff where there is one."""
    shown = shown_candidates(sample.responses)
    texts = [one.text for one in sample.responses.values()]
    differences = word_diff(*texts) if len(texts) == 2 else None
    if differences is None:
        return shown
    pairs = zip(shown, differences, strict=True)
    return [replace(one, difference=difference) for one, difference in pairs]


def _made_up(size: int) -> dict[int, Response]:
    texts = [str(SAMPLE_RESPONSES[place % len(SAMPLE_RESPONSES)]) for place in range(size)]
    return {place: Response(text, is_finished=True) for place, text in enumerate(texts, start=1)}


def size_of(*, pairing: str, responses: int) -> int:
    """How many responses a labeler compares at once."""
    if pairing != Project.Pairing.ONE_RANKING:
        return 2
    return min(max(responses, 2), len(LETTERS))
