"""The rollouts of an update: prompts in their order, sampled from the policy, scored by a reward."""

from training.data.chat import encode_prompt
from training.data.packing import TokenGroup
from training.data.stream import Stream
from training.rollout.buffer import Rollout, shuffled
from training.rollout.sampler import Knobs, LocalSampler
from training.rollout.scoring import Scorer
from training.spec.records import Group
from training.spec.runs import PpoSpec


class Explorer:
    """Draws the rollouts of an update: prompts in their order, sampled and scored."""

    def __init__(
        self, sampler: LocalSampler, scorer: Scorer, prompts: list[Group], spec: PpoSpec
    ) -> None:
        self._sampler, self._scorer, self._prompts, self._spec = sampler, scorer, prompts, spec
        self._stream = Stream(
            rows=len(prompts),
            per_step=spec.groups_per_step,
            seed=spec.seed,
            epochs=1 + spec.updates * spec.groups_per_step / len(prompts),
        )
        self._per_prompt = spec.samples_per_prompt(self._stream.batch_size)

    def rollouts(self, update: int) -> list[Rollout]:
        spec = self._spec
        chosen = [self._prompts[at] for at in self._stream.batch(update)]
        tokenizer = self._sampler.tokenizer
        prompts = [
            encode_prompt(tokenizer, one.prompt, max_tokens=spec.max_prompt_tokens).ids
            for one in chosen
        ]
        knobs = Knobs(
            n=self._per_prompt,
            temperature=spec.temperature,
            top_p=spec.top_p,
            max_tokens=spec.max_response_tokens,
            seed=rollout_seed(spec.seed, update),
        )
        samples = self._sampler.sample_tokens(prompts, knobs)
        scores = self._scorer.score(
            [one.prompt for one in chosen], [[each.text for each in one] for one in samples]
        )
        made = [
            Rollout(
                record=record,
                tokens=TokenGroup(
                    prompt_id=record.prompt_id,
                    prompt=prompt,
                    responses=tuple(one.token_ids for one in drawn),
                ),
                samples=tuple(drawn),
                scores=tuple(scored),
            )
            for record, prompt, drawn, scored in zip(chosen, prompts, samples, scores, strict=True)
        ]
        return shuffled(made, seed=f"{spec.seed}/{update}")


def rollout_seed(seed: int, update: int) -> int:
    """One number for every update of every seed."""
    return seed * 2**32 + update
