"""Rewards of responses, by a reward model, as batches of prefix trees.

Texts are encoded with the reward model's own tokenizer, as in its training: response and end token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.data.chat import Limits, encode_prompt, encode_response
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.models.load import LoadedModel
from training.models.reward import load_reward_model, score_tree
from training.runtime.run import Run
from training.spec.errors import Diverged
from training.spec.records import Turn
from training.spec.runs import PpoSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A reward model with its limits; ``budget`` is the tokens of one forward pass."""

    reward: LoadedModel
    limits: Limits
    budget: int

    @torch.no_grad()
    def score(
        self, prompts: Sequence[Sequence[Turn]], responses: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """One number a response, in the order given."""
        groups = [self._group(*pair) for pair in zip(prompts, responses, strict=True)]
        scores: list[float] = []
        for row in rows_under_budget(groups, self.budget):
            pack = pack_groups(row).to(self.reward.device)
            scores_N = score_tree(self.reward, pack.tree, pack.last_N)
            if not bool(scores_N.isfinite().all()):
                raise Diverged("The reward model gave a score that is not finite; train it again.")
            scores.extend(scores_N.tolist())
        flat = iter(scores)
        return [[next(flat) for _ in group] for group in responses]

    def _group(self, prompt: Sequence[Turn], responses: Sequence[str]) -> TokenGroup:
        tokenizer = self.reward.tokenizer
        return TokenGroup(
            prompt_id="",
            prompt=encode_prompt(tokenizer, prompt, max_tokens=self.limits.prompt).ids,
            responses=tuple(
                encode_response(tokenizer, one, max_tokens=self.limits.response).ids
                for one in responses
            ),
        )


def load_scorer(run: Run, spec: PpoSpec, device: torch.device) -> Scorer:
    """The spec's reward model, which heeds the run's wish to stop."""
    reward = load_reward_model(spec.reward_model, precision=spec.precision, device=device)
    run.watch(reward.model)
    limits = Limits(spec.max_prompt_tokens, spec.max_response_tokens)
    return Scorer(reward=reward, limits=limits, budget=spec.tokens_per_forward)
