"""Prompts answered by the policy and scored by a reward; which prompts an update gets, and which watch it."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import NamedTuple

from training.data.chat import encode_prompt
from training.data.packing import TokenGroup
from training.data.records import groups_of
from training.data.stream import endless_batch
from training.data.tokens import Tally
from training.data.watching import watched
from training.models.load import LoadedModel
from training.rollout.buffer import Rollout, shuffled
from training.rollout.sampler import Knobs, Progress, Sample, TokenSampler
from training.rollout.scoring import Score, Scorer
from training.runtime.distributed import my_share, told_by_all
from training.runtime.run import Run
from training.spec.errors import SpecError
from training.spec.preferences import ReferenceSpec, SftSpec
from training.spec.records import Group
from training.spec.rollouts import RolloutSpec

OF_NO_UPDATE = 2**31


class Explored(NamedTuple):
    """The rollouts of an update, and what the answers to held-out prompts tell where it looks at them."""

    rollouts: list[Rollout]
    seen: dict[str, float]


class Asked(NamedTuple):
    """A prompt as a record and as the tokens that the policy is given of it."""

    record: Group
    tokens: tuple[int, ...]


def asked(
    policy: LoadedModel, records: Sequence[Group], spec: RolloutSpec, tally: Tally
) -> list[Asked]:
    """The prompts of these records; those that are cut are counted in ``tally``.

    Raises SpecError where the model has no position left for a prompt before the longest response.
    """
    longest = spec.max_prompt_tokens
    if policy.positions:
        longest = min(longest, policy.positions - spec.max_response_tokens)
    if longest < 1:
        raise SpecError(
            f"max_response_tokens: {spec.max_response_tokens}, but {spec.model} reads {policy.positions} tokens of "
            "prompt and response together. Lower it, so that a prompt has room."
        )
    prompts = [encode_prompt(policy.tokenizer, one.prompt, max_tokens=longest) for one in records]
    tally.add("prompts_used", len(prompts))
    tally.add("prompts_cut", sum(one.cut > 0 for one in prompts))
    return [Asked(record, one.ids) for record, one in zip(records, prompts, strict=True)]


class Explorer:
    """Draws the rollouts of an update: prompts in their order, sampled and scored."""

    def __init__(
        self,
        sampler: TokenSampler,
        scorer: Scorer,
        prompts: Sequence[Asked],
        spec: RolloutSpec,
        *,
        held_out: Scorer | None = None,
        watched: Sequence[Asked] = (),
    ) -> None:
        """``held_out`` scores what was sampled, and teaches nothing; ``watched`` are held-out prompts to look at."""
        self._held_out = held_out
        self._sampler, self._scorer, self._prompts, self._spec = sampler, scorer, prompts, spec
        self._watched = watched

    def explored(self, update: int) -> Explored:
        """The whole batch; of several processes each answers a share, and is told the others'."""
        spec = self._spec
        places = endless_batch(
            update, rows=len(self._prompts), size=spec.groups_per_step, seed=spec.seed
        )
        prompts = [self._prompts[at] for at in places]
        mine = _my_places(prompts)
        with self._sampler.following(update):
            made = self._answered([prompts[at] for at in mine], update)
            seen = self._seen(update)
        told = told_by_all(dict(zip(mine, made, strict=True)))
        rollouts = [told[at] for at in range(len(prompts))]
        return Explored(shuffled(rollouts, seed=f"{spec.seed}/{update}"), seen)

    def _seen(self, update: int) -> dict[str, float]:
        """Mean score of answers to held-out prompts by the policy as this update finds it; {} where none is due.

        The first update looks too, and each look has the random streams of the result's measure.
        """
        is_due = update == 0 or self._spec.looks_at(update + 1)
        if not self._watched or not is_due:
            return {}
        mine = _my_places(self._watched)
        made = heldout_answers(
            self._sampler, self._scorer, [self._watched[at] for at in mine], self._spec
        )
        told = told_by_all({at: one.scores for at, one in zip(mine, made, strict=True)})
        scores = chain.from_iterable(told[at] for at in range(len(self._watched)))
        return {"eval_reward": statistics.fmean(scores)}

    def _answered(self, prompts: Sequence[Asked], update: int) -> list[Rollout]:
        made = answers(
            self._sampler,
            self._scorer,
            prompts,
            self._spec,
            n=self._spec.samples_per_prompt,
            seed=rollout_seed(self._spec.seed, update),
        )
        return judged_again(made, self._held_out) if self._held_out else made


def _my_places(prompts: Sequence[Asked]) -> list[int]:
    """The prompts of this process; those of equal tokens stay together: only then do they draw apart."""
    places: dict[tuple[int, ...], list[int]] = {}
    for at, one in enumerate(prompts):
        places.setdefault(one.tokens, []).append(at)
    return sorted(chain.from_iterable(my_share(list(places.values()))))


def judged_again(rollouts: Sequence[Rollout], scorer: Scorer) -> list[Rollout]:
    """The same rollouts with the scores of a second reward model."""
    judged = _judged(scorer, [one.record for one in rollouts], [one.samples for one in rollouts])
    return [
        replace(one, held_out=tuple(each.mean for each in told))
        for one, told in zip(rollouts, judged, strict=True)
    ]


def _judged(
    scorer: Scorer, records: Sequence[Group], samples: Sequence[Sequence[Sample]]
) -> list[list[Score]]:
    return scorer.judge(
        [one.prompt for one in records],
        [[each.text for each in drawn] for drawn in samples],
        finished=[[each.finished for each in drawn] for drawn in samples],
    )


def answers(
    sampler: TokenSampler,
    scorer: Scorer,
    prompts: Sequence[Asked],
    spec: RolloutSpec,
    *,
    n: int,
    seed: int,
    on_progress: Progress | None = None,
) -> list[Rollout]:
    """Every prompt with ``n`` responses and their scores, in the order of the prompts."""
    knobs = Knobs(
        n=n,
        temperature=spec.temperature,
        top_p=spec.top_p,
        max_tokens=spec.max_response_tokens,
        seed=seed,
    )
    samples = sampler.sample_tokens([one.tokens for one in prompts], knobs, on_progress=on_progress)
    judged = _judged(scorer, [one.record for one in prompts], samples)
    return [
        Rollout(
            record=record,
            tokens=TokenGroup(
                prompt_id=record.prompt_id,
                prompt=prompt,
                responses=tuple(one.token_ids for one in drawn),
            ),
            samples=tuple(drawn),
            scores=tuple(one.mean for one in scored),
            deviations=tuple(one.deviation for one in scored),
            truncated=tuple(one.is_truncated for one in scored),
        )
        for (record, prompt), drawn, scored in zip(prompts, samples, judged, strict=True)
    ]


def heldout_prompts(spec: RolloutSpec | ReferenceSpec | SftSpec) -> list[Group]:
    """The first prompts of the test split, filled up from the validation split."""
    found = [*groups_of(spec.data, "test"), *groups_of(spec.data, "validation")]
    return found[: spec.eval_prompts]


def watched_prompts(policy: LoadedModel, spec: RolloutSpec, run: Run) -> list[Asked]:
    """Those that the policy is asked while it trains; none where the spec does not look."""
    if not spec.eval_every:
        return []
    return watched(partial(asked, policy, heldout_prompts(spec), spec), run, "prompts")


def heldout_answers(
    sampler: TokenSampler,
    scorer: Scorer,
    prompts: Sequence[Asked],
    spec: RolloutSpec,
    *,
    on_progress: Progress | None = None,
) -> list[Rollout]:
    """Answers to held-out prompts: the same random streams whenever and of whichever policy they are asked."""
    return answers(
        sampler,
        scorer,
        prompts,
        spec,
        n=spec.eval_samples,
        seed=rollout_seed(spec.seed, OF_NO_UPDATE),
        on_progress=on_progress,
    )


def rollout_seed(seed: int, update: int) -> int:
    """One number for every update of every seed."""
    return seed * 2**32 + update
