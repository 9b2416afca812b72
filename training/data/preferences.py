"""Judged pairs as training rows: a prompt, its judged candidates, and pairs of their numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from training.data.chat import Limits, encode_texts
from training.data.packing import TokenGroup
from training.data.tokens import Tally
from training.spec.errors import DataError
from training.spec.records import Group, Pair


class TokenPair(NamedTuple):
    """Two responses of a group by number, and what people said of them.

    ``label`` is the probability that chosen is better; ``tied`` the share of ties in all votes.
    """

    chosen: int
    rejected: int
    label: float
    tied: float
    margin: float
    weight: float
    record: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGroup:
    """One prompt with its judged responses and its pairs; ``ranking`` is their order, best first."""

    tokens: TokenGroup
    pairs: tuple[TokenPair, ...]
    lengths: tuple[int, ...]
    split: str
    ranking: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReader:
    """How records become pairs: with which tokenizer, limits, and rule for ties."""

    tokenizer: Any  # Any: a transformers tokenizer
    limits: Limits
    uses_soft_labels: bool = True
    keeps_ties: bool = False

    def read(self, groups: Iterable[Group], tally: Tally) -> list[PairGroup]:
        """All groups with a usable pair; what was dropped or cut is counted in ``tally``."""
        read = [self._group(group, tally) for group in groups]
        return [group for group in read if group is not None]

    def _group(self, group: Group, tally: Tally) -> PairGroup | None:
        texts = {one.id: one.text for one in group.candidates}
        usable = [pair for pair in group.pairs if self._is_usable(pair, texts, group, tally)]
        judged = {name for pair in usable for name in (pair.chosen, pair.rejected)}
        shown = [one for one in group.candidates if one.id in judged]
        if not usable:
            tally.add("prompts_without_a_pair")
            return None
        tokens = encode_texts(self.tokenizer, group, shown, limits=self.limits, tally=tally)
        number = {one.id: at for at, one in enumerate(shown)}
        pairs = tuple(
            self._pair(pair, number)
            for pair in usable
            if not _is_cut_equal(tokens, number[pair.chosen], number[pair.rejected], tally)
        )
        if not pairs:
            return None
        tally.add("pairs_used", len(pairs))
        return PairGroup(
            tokens=tokens,
            pairs=pairs,
            lengths=tuple(len(one.text) for one in shown),
            split=group.split,
        )

    def _is_usable(self, pair: Pair, texts: dict[str, str], group: Group, tally: Tally) -> bool:
        _refuse_nonsense(pair, texts, group)
        dropped = (
            ("ties_dropped", pair.is_tie and not self.keeps_ties),
            ("pairs_without_weight", pair.weight <= 0),
            ("pairs_of_equal_text", texts[pair.chosen] == texts[pair.rejected]),
        )
        for why, holds in dropped:
            if holds:
                tally.add(why)
                return False
        return True

    def _pair(self, pair: Pair, number: dict[str, int]) -> TokenPair:
        label = pair.soft_label if self.uses_soft_labels else 1.0
        return TokenPair(
            chosen=number[pair.chosen],
            rejected=number[pair.rejected],
            label=0.5 if pair.is_tie else label,
            tied=_tied_share(pair) if self.uses_soft_labels else float(pair.is_tie),
            margin=0.0 if pair.is_tie else pair.margin,
            weight=pair.weight,
            record=pair,
        )


def _tied_share(pair: Pair) -> float:
    """The share of ties in the votes; all or nothing where the verdict is not that of the votes."""
    won, lost, tied = pair.votes_chosen, pair.votes_rejected, pair.votes_tied
    are_votes_tied = won == lost or tied >= max(won, lost)
    if not (total := won + lost + tied) or are_votes_tied != pair.is_tie:
        return float(pair.is_tie)
    return tied / total


def _refuse_nonsense(pair: Pair, texts: dict[str, str], group: Group) -> None:
    for name in (pair.chosen, pair.rejected):
        if name not in texts:
            raise DataError(
                f"Prompt {group.prompt_id}: a pair names candidate {name!r}, which it has not."
            )
    if not 0 <= pair.soft_label <= 1:
        raise DataError(
            f"Prompt {group.prompt_id}: soft_label {pair.soft_label!r} is no probability."
        )


def _is_cut_equal(tokens: TokenGroup, chosen: int, rejected: int, tally: Tally) -> bool:
    """Two responses that differ only behind the cut teach nothing."""
    is_equal = tokens.responses[chosen] == tokens.responses[rejected]
    tally.add("pairs_equal_after_cut", int(is_equal))
    return is_equal
