"""Rewards of responses, by a reward model, as batches of prefix trees.

Texts are encoded with the reward model's own tokenizer, up to its own limits, a response with its end token; one that
did not finish has none, as in the records that the model learned from.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.chat import Limits, encode_prompt, encode_response, fitted
from training.data.packing import Pack, TokenGroup, pack_groups, rows_under_budget
from training.models.load import LoadedModel
from training.models.reward import (
    CriterionHeads,
    deviation,
    head_count,
    last_states,
    load_calibration,
    load_offset,
    load_reward_model,
    score_heads,
    score_hidden,
)
from training.runtime.run import Run
from training.spec.errors import DataError, Diverged, SpecError
from training.spec.records import Turn
from training.spec.rollouts import RolloutSpec

UNTOLD = Limits(
    prompt=1024, response=1024
)  # of a reward model that does not say what it was trained with


Read = tuple[list[TokenGroup], list[bool]]  # tokens; of each response whether a part is not read


class Score(NamedTuple):
    """The mean of a reward model's heads, their deviation (0 for one), what each criterion's head says, and whether
    prompt or response is longer than the model reads.
    """

    mean: float
    deviation: float
    criteria: Mapping[str, float] = MappingProxyType({})
    is_truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A reward model with its limits; ``budget`` is the tokens of one forward pass.

    ``offset`` is taken from every score: the responses that the model learned from score 0 on average.
    ``criteria`` explain a score where the model has them; only `judge` tells what they say.
    """

    reward: LoadedModel
    limits: Limits
    budget: int
    offset: float = 0.0
    criteria: CriterionHeads | None = None

    def score(
        self, prompts: Sequence[Sequence[Turn]], responses: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """One number a response, in the order given: the mean of the heads."""
        return [[one.mean for one in group] for group in self.judge(prompts, responses)]

    def judge(
        self,
        prompts: Sequence[Sequence[Turn]],
        responses: Sequence[Sequence[str]],
        *,
        finished: Sequence[Sequence[bool]] | None = None,
    ) -> list[list[Score]]:
        """The score of every response, in the order given.

        ``finished`` says which responses ended by themselves; None: all. Raises DataError where the chat template
        refuses a prompt.
        """
        read = [self._groups(*one) for one in _together(prompts, responses, finished)]
        return self._judged(read)

    def judge_each(
        self,
        prompts: Sequence[Sequence[Turn]],
        responses: Sequence[Sequence[str]],
        *,
        finished: Sequence[Sequence[bool]] | None = None,
    ) -> list[list[Score] | DataError]:
        """The same, and in place of the scores of a prompt that the chat template refuses the reason."""
        read = [self._read(*one) for one in _together(prompts, responses, finished)]
        judged = iter(self._judged([one for one in read if not isinstance(one, DataError)]))
        return [one if isinstance(one, DataError) else next(judged) for one in read]

    @torch.no_grad()
    def _judged(self, read: Sequence[Read]) -> list[list[Score]]:
        groups = [group for some, _ in read for group in some]
        scores: list[Score] = []
        for row in rows_under_budget(groups, self.budget):
            pack = pack_groups(row).to(self.reward.device)
            scores_NH, told = self._heads(pack)
            if not bool(scores_NH.isfinite().all()):
                raise Diverged("The reward model gave a score that is not finite; train it again.")
            means_N = scores_NH.mean(-1) - self.offset
            columns = means_N.tolist(), deviation(scores_NH).tolist(), told
            scores.extend(map(Score, *columns))
        flat = iter(scores)
        return [[next(flat)._replace(is_truncated=one) for one in cut] for _, cut in read]

    def _heads(self, pack: Pack) -> tuple[Tensor, list[dict[str, float]]]:
        """The scores [N, H], and what the criteria say of each response."""
        if self.criteria is None:
            scores_NH = score_heads(self.reward, pack.tree, pack.last_N)
            return scores_NH, [{} for _ in scores_NH]
        hidden_ND = last_states(self.reward, pack.tree, pack.last_N)
        told_NC = self.criteria.scores(hidden_ND).tolist()
        names = self.criteria.names
        return (
            score_hidden(self.reward, hidden_ND),
            [dict(zip(names, row, strict=True)) for row in told_NC],
        )

    def _read(
        self, prompt: Sequence[Turn], responses: Sequence[str], finished: Sequence[bool]
    ) -> Read | DataError:
        try:
            return self._groups(prompt, responses, finished)
        except DataError as error:
            return error

    def _groups(
        self, prompt: Sequence[Turn], responses: Sequence[str], finished: Sequence[bool]
    ) -> Read:
        """The tokens, and of each response whether something of it or of the prompt is not read.

        Where the model's positions do not hold all of them, each response is beside as much of the prompt as fits it
        alone: a score never depends on the others.
        """
        tokenizer, longest = self.reward.tokenizer, self.limits.response
        told = encode_prompt(tokenizer, prompt, max_tokens=self.limits.prompt)
        answers = [
            encode_response(tokenizer, text, max_tokens=longest, is_finished=is_finished)
            for text, is_finished in zip(responses, finished, strict=True)
        ]
        if fitted(told, answers, self.limits.together) == (told, answers):
            ids = tuple(one.ids for one in answers)
            groups = [TokenGroup(prompt_id="", prompt=told.ids, responses=ids)]
            return groups, [told.cut + one.cut > 0 for one in answers]
        alone = [fitted(told, [one], self.limits.together) for one in answers]
        groups = [
            TokenGroup(prompt_id="", prompt=told.ids, responses=(one.ids,)) for told, [one] in alone
        ]
        return groups, [told.cut + one.cut > 0 for told, [one] in alone]


def _together(
    prompts: Sequence[Sequence[Turn]],
    responses: Sequence[Sequence[str]],
    finished: Sequence[Sequence[bool]] | None,
) -> Iterator[tuple[Sequence[Turn], Sequence[str], Sequence[bool]]]:
    """Each prompt with its responses, and whether they ended by themselves."""
    finished = finished or [[True] * len(one) for one in responses]
    return zip(prompts, responses, finished, strict=True)


def load_held_out(run: Run, spec: RolloutSpec, device: torch.device) -> Scorer | None:
    """The reward model that only watches; None where the spec names none."""
    if not spec.held_out_reward_model:
        return None
    place = spec.held_out_reward_model
    watcher = replace(spec, reward_model=place, uncertainty_penalty=0.0, stop_on="")
    return load_scorer(run, watcher, device)


def load_scorer(run: Run, spec: RolloutSpec, device: torch.device) -> Scorer:
    """The spec's reward model, which heeds the run's wish to stop. Logs how it is computed, a guard that cannot speak
    with it, and limits that are shorter than the run's.

    Raises SpecError where an uncertainty is to be paid for that one head cannot tell.
    """
    reward = load_reward_model(
        spec.reward_model,
        precision=spec.precision,
        device=device,
        quantize=spec.reward_quantize,
    )
    has_one_head = head_count(reward) == 1
    if spec.uncertainty_penalty and has_one_head:
        raise SpecError(
            f"uncertainty_penalty: {spec.uncertainty_penalty:g} needs a reward model with several "
            f"heads; {spec.reward_model} has one. Train it with heads 4, or set the penalty to 0."
        )
    if "disagreement" in spec.stopping_guards() and has_one_head:
        run.reporter.log(
            f"stop_on: disagreement stops nothing here: {spec.reward_model} has one head, which disagrees "
            "with nobody. A reward model trained with heads 4 lets the guard speak."
        )
    run.meet(reward.model, notes=[f"{spec.reward_model}: {one}" for one in reward.notes])
    scorer = scorer_of(spec.reward_model, reward, budget=spec.tokens_per_forward)
    _tell_limits(run, spec, scorer.limits)
    return scorer


def _tell_limits(run: Run, spec: RolloutSpec, limits: Limits) -> None:
    """Log where the reward model reads less of a text than the policy does."""
    for name, own, read in (
        ("max_prompt_tokens", spec.max_prompt_tokens, limits.prompt),
        ("max_response_tokens", spec.max_response_tokens, limits.response),
    ):
        if own > read:
            run.reporter.log(
                f"{name}: {own} here, but {spec.reward_model} reads {read}, as it was trained; of what is longer it "
                f"scores a part. Train it with {name} {own}, or lower it here."
            )
    longest = spec.max_prompt_tokens + spec.max_response_tokens
    if 0 < limits.together < longest:
        run.reporter.log(
            f"{spec.reward_model} reads {limits.together} tokens of prompt and response together, and "
            f"max_prompt_tokens and max_response_tokens allow {longest}; of what is longer it scores the end of the "
            "prompt and the response."
        )


def scorer_of(source: str, reward: LoadedModel, *, budget: int) -> Scorer:
    """A reward model as all use it: what lies beside its weights says how it reads texts, and where its zero is."""
    folder = Path(source)
    limits = limits_of(folder)._replace(together=reward.positions)
    return Scorer(reward=reward, limits=limits, budget=budget, offset=load_offset(folder))


def limits_of(folder: Path) -> Limits:
    """The limits that a reward model was trained with."""
    told = load_calibration(folder)
    return Limits(
        int(told.get("max_prompt_tokens", UNTOLD.prompt)),
        int(told.get("max_response_tokens", UNTOLD.response)),
    )
