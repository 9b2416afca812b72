"""This product's own rows of votes: each judgment with all that is known of it, so that a round trip loses nothing."""

from dataclasses import replace
from typing import Any

from annotation.prompts.readers.details import tiers_of_places, with_details
from annotation.prompts.readers.judged import (
    ReadComparison,
    comparison_of,
    is_true,
    prompt_of,
    prompt_turns,
    propensity_of,
    response_of,
    steps_of,
    verdict_of,
)
from annotation.prompts.readers.rows import RowRefused

Fields = dict[str, Any]  # Any: JSON values
VOTES_COLUMNS = frozenset({"responses", "ranking", "strengths", "is_all_bad", "criteria", "marks"})
VOTES_COLUMNS |= {"labeler", "labeler_kind", "rationale", "shown_order", "judged_at"}
VOTES_COLUMNS |= {"active_ms", "guideline_version", "is_repeat", "propensity"}


def read_vote(fields: Fields) -> ReadComparison:
    """``ranking`` names places in ``responses``, best first; it is empty where all are bad."""
    entries = fields.get("responses")
    if not isinstance(entries, list):
        raise RowRefused("responses is not a list of responses.")
    responses = [response_of(one) for one in entries]
    tiers = tiers_of_places(fields.get("ranking"), len(responses), "ranking")
    if bool(tiers) == is_true(fields.get("is_all_bad")):
        raise RowRefused("A vote is either a ranking or all bad; this row has both or neither.")
    verdict = verdict_of(fields, tiers, strengths=steps_of(fields.get("strengths") or [], tiers))
    read = comparison_of(
        prompt_of(fields, prompt_turns(fields)),
        responses,
        [with_details(verdict, fields, responses)],
    )
    return replace(read, propensity=propensity_of(fields))
