"""New comparisons between policies, drawn by what one verdict tells of their strengths, a fifth of each draw evenly.

Each comparison keeps a propensity: the chance with which the draw that made it chose its two policies, over the
comparisons that these two had when the batch began. Weights 1 / propensity undo the choice; they do so only nearly
where two policies run dry within the batch, since the chances of the others grow from then on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from django.db import transaction

from annotation.accounts.models import User
from annotation.comparisons.models import Batch, Comparison
from annotation.comparisons.services.batches import free_name, open_batch
from annotation.comparisons.services.pairing import Pairing, compare_sets
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.statements import run
from annotation.core.text import fingerprint
from annotation.measures.pairing import propensities
from annotation.projects.models import Project
from annotation.quality.policies import Two, gains_between
from annotation.quality.scope import Scope
from annotation.quality.scoped import ScopedJudgments

COUNT_MAX = 1_000
NOTHING = (
    "No two ranked policies have responses to the same prompt that are not compared yet. Policies are ranked once "
    "verdicts connect them; generate responses of both to more prompts."
)
MEANWHILE = "Others made these comparisons at the same moment; draw again."
# The responses of each two policies to one prompt that no comparison holds, be it of two or of more, in an order by
# lot; few of each two. That a response is empty is told by its fingerprint: texts are long, and not read for it.
_FRESH = """
WITH named AS MATERIALIZED (
    SELECT id, prompt_id, fingerprint, COALESCE('policy ' || policy_id, source_name) AS source
    FROM generation_candidate WHERE project_id = %(project)s AND fingerprint <> %(empty)s
), fresh AS (
    SELECT LEAST(a.source, b.source) AS low, GREATEST(a.source, b.source) AS high, a.prompt_id,
        a.id AS first, b.id AS second
    FROM named a JOIN named b ON b.prompt_id = a.prompt_id AND a.id < b.id
    WHERE a.source <> b.source AND a.fingerprint <> b.fingerprint AND NOT EXISTS (
        SELECT FROM comparisons_comparison c
        WHERE c.prompt_id = a.prompt_id AND c.candidate_ids @> ARRAY[a.id, b.id])
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY low, high ORDER BY random()) AS place,
        count(*) OVER (PARTITION BY low, high) AS total
    FROM fresh
)
SELECT low, high, prompt_id, first, second, total FROM placed WHERE place <= %(count)s
"""


class Fresh(NamedTuple):
    """Two responses that nobody was asked to compare yet."""

    prompt: int
    ids: tuple[int, int]


@dataclass(slots=True)
class Pool:
    """What is there of two policies: as many in an order by lot as may be drawn, and how many there are in all."""

    some: list[Fresh]
    size: int  # when the batch begins


class Drawn(NamedTuple):
    """A draw, and the chance of its two policies over the comparisons that they had."""

    fresh: Fresh
    propensity: float


@transaction.atomic
def ask_next(*, project: Project, count: int, actor: User, seed: int | None = None) -> Batch:
    """A batch of ``count`` new comparisons, or of as many as there are; its comparisons keep their propensity.

    Two who ask at the same time wait for each other. Raises InvalidInput for a count out of range, Conflict where
    nothing can be drawn, or others made all of it meanwhile.
    """
    if not 1 <= count <= COUNT_MAX:
        raise InvalidInput.at("comparisons", f"Ask 1 to {COUNT_MAX:,} at once; these are {count}.")
    gains = gains_between(ScopedJudgments(project, Scope()).ranked)
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    pools = _pools(project, gains, count)
    drawn = list(_draws(pools, gains, count, np.random.default_rng(seed)))
    if not drawn:
        raise Conflict(NOTHING)
    batch = open_batch(
        project=project,
        name=free_name(project, "Drawn between policies"),
        made_from={"draws": len(drawn)},
        actor=actor,
    )
    _store(project, batch, drawn)
    return batch


def _pools(project: Project, gains: Mapping[Two, float], count: int) -> dict[Two, Pool]:
    pools: dict[Two, Pool] = {}
    for low, high, prompt, first, second, total in run(
        _FRESH, {"project": project.pk, "count": count, "empty": fingerprint([""])}
    ):
        if (low, high) in gains:
            pool = pools.setdefault((low, high), Pool([], total))
            pool.some.append(Fresh(prompt, (first, second)))
    return dict(sorted(pools.items()))


def _draws(
    pools: Mapping[Two, Pool], gains: Mapping[Two, float], count: int, rng: np.random.Generator
) -> Iterator[Drawn]:
    """Two policies by propensity among those with something left, then by lot one of what is left of them."""
    for _ in range(count):
        twos = [two for two, pool in pools.items() if pool.some]
        if not twos:
            return
        chances = propensities(np.array([gains[two] for two in twos]))
        at = int(rng.choice(len(twos), p=chances))
        pool = pools[twos[at]]
        yield Drawn(pool.some.pop(), float(chances[at]) / pool.size)


def _store(project: Project, batch: Batch, drawn: list[Drawn]) -> None:
    sets: dict[int, list[tuple[int, ...]]] = {}
    for one in drawn:
        sets.setdefault(one.fresh.prompt, []).append(one.fresh.ids)
    chances = {one.fresh.ids: one.propensity for one in drawn}
    there = compare_sets(project=project, sets=sets, pairing=Pairing(batch=batch))
    made = [row for row in there if row.batch_id == batch.pk]  # others may have been faster
    if not made:
        raise Conflict(MEANWHILE)
    for row in made:
        row.propensity = chances[row.candidate_ids[0], row.candidate_ids[1]]
    Comparison.objects.bulk_update(made, ["propensity"])
