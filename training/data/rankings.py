"""Rankings in judged pairs: where the majorities of a prompt's pairs leave one order only."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from training.data.preferences import PairGroup, TokenPair
from training.data.tokens import Tally

FEWEST_RANKED = 3  # two responses are a pair


def with_rankings(groups: Iterable[PairGroup], tally: Tally) -> list[PairGroup]:
    """The groups with the ranking of those that have one; both kinds are counted."""
    rows = [replace(one, ranking=ranking_of(one.pairs, len(one.lengths))) for one in groups]
    ranked = sum(bool(one.ranking) for one in rows)
    tally.add("prompts_ranked", ranked)
    tally.add("prompts_without_a_ranking", len(rows) - ranked)
    return rows


def ranking_of(pairs: Sequence[TokenPair], responses: int) -> tuple[int, ...]:
    """All ``responses`` by number, best first; () where the pairs are tied, circular or too few.

    One order is left if every response and the next one were compared.
    """
    if responses < FEWEST_RANKED or any(pair.record.is_tie for pair in pairs):
        return ()
    won = {
        (pair.chosen, pair.rejected) if pair.label >= 0.5 else (pair.rejected, pair.chosen)
        for pair in pairs
    }
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for better, worse in won:
        sorter.add(worse, better)
    try:
        order = tuple(sorter.static_order())
    except CycleError:
        return ()
    is_only = len(order) == responses and set(pairwise(order)) <= won
    return order if is_only else ()
