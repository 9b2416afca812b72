"""Responses to imitate: what people wrote, and the best of the judged candidates."""

from collections.abc import Iterable
from typing import Any

from training.data.chat import Limits, encode_texts
from training.data.packing import TokenGroup
from training.data.tokens import Tally
from training.spec.imitation import imitated
from training.spec.records import Group


def demonstration_groups(
    tokenizer: Any,  # Any: a transformers tokenizer
    groups: Iterable[Group],
    *,
    limits: Limits,
    includes_chosen: bool,
    tally: Tally,
) -> list[TokenGroup]:
    """One group a prompt that has something to imitate; the others are counted."""
    rows = []
    for group in groups:
        texts = [
            one for one in imitated(group, includes_chosen=includes_chosen) if one.text.strip()
        ]
        if not texts:
            tally.add("prompts_without_a_response")
            continue
        tally.add("responses_used", len(texts))
        rows.append(encode_texts(tokenizer, group, texts, limits=limits, tally=tally))
    return rows
