"""Single responses that people found good or bad, for algorithms without pairs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from training.data.chat import Limits, encode_texts
from training.data.packing import TokenGroup
from training.data.tokens import Tally
from training.spec.records import Group
from training.spec.verdicts import verdicts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalGroup:
    """One prompt with its good and bad responses, then one of another prompt, if there is another.

    ``is_good`` has no entry for that foreign one.
    """

    tokens: TokenGroup
    is_good: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.tokens)


def signal_groups(
    tokenizer: Any,  # Any: a transformers tokenizer
    groups: Iterable[Group],
    *,
    limits: Limits,
    tally: Tally,
) -> list[SignalGroup]:
    """One group a prompt that has a verdict; the others are counted."""
    read = []
    for group in groups:
        verdicts = verdicts_of(group)
        texts = [one for one in group.candidates if one.id in verdicts]
        if not texts:
            tally.add("prompts_without_a_verdict")
            continue
        tokens = encode_texts(tokenizer, group, texts, limits=limits, tally=tally)
        is_good = tuple(verdicts[one.id] for one in texts)
        tally.add("good_responses", sum(is_good))
        tally.add("bad_responses", len(is_good) - sum(is_good))
        read.append(SignalGroup(tokens=tokens, is_good=is_good))
    if len(read) == 1:
        tally.add("prompts_without_another", 1)
        return read
    return [_with_foreign(one, read[at - 1], limits.together) for at, one in enumerate(read)]


def _with_foreign(mine: SignalGroup, other: SignalGroup, together: int) -> SignalGroup:
    room = together - len(mine.tokens.prompt) if together else None
    responses = (*mine.tokens.responses, other.tokens.responses[0][:room])
    return replace(mine, tokens=replace(mine.tokens, responses=responses))
