"""The policy, its value head and its reference, in the memory of one model.

The reference is the policy as the run began: with LoRA the adapters are switched off, otherwise
the starting values of the trained weights (and only of those) are swapped in.

Shapes: T tokens of a row, R response tokens, D hidden size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from training.data.packing import Pack, pack_groups
from training.data.remembered import NOBODY
from training.functional.logprobs import TokenLogprobs, target_logprobs, token_logprobs
from training.models.load import LoadedModel, head_of
from training.models.lora import adapters_off, trainable_weights
from training.models.split import SplitBackbone
from training.models.value import ValueHead
from training.runtime.sharding import exchange, own
from training.spec.rollouts import RolloutSpec


class TokenOutputs(NamedTuple):
    """Of every response token: its log-prob, the entropy it was drawn at, the value before it (0 without a critic)."""

    logprob_R: Tensor
    entropy_R: Tensor
    value_R: Tensor


class Actor(Protocol):
    """What the update needs of a policy: an ActorCritic, or a table in the proof of PPO.

    Packs are handed to it where its weights are (``device``).
    """

    @property
    def device(self) -> torch.device: ...

    def lower(self, pack: Pack) -> Tensor | None: ...

    def outputs(self, pack: Pack, lower_TD: Tensor | None) -> TokenOutputs: ...

    def reference_logprobs(self, pack: Pack, lower_TD: Tensor | None) -> Tensor: ...

    def nothing(self) -> Tensor: ...


class ActorCritic:
    """What is trained. Log-probs are of the tempered policy, the one that is sampled from."""

    def __init__(self, policy: LoadedModel, spec: RolloutSpec, *, has_critic: bool) -> None:
        self.policy = policy
        self._temperature = spec.temperature
        self._pays_entropy = bool(getattr(spec, "entropy_weight", 0.0))
        self.weights = trainable_weights(policy.model, spec)
        self._start = (
            {}
            if spec.lora_rank
            else {name: own(one.detach()).clone() for name, one in self.weights.items()}
        )
        self._split = SplitBackbone(policy)
        width = policy.model.config.hidden_size
        self.value_head = ValueHead(width).to(policy.device) if has_critic else None
        if self.value_head is not None and getattr(spec, "value_start", "zero") == "policy":
            self.value_head.load(Path(spec.model))

    @property
    def device(self) -> torch.device:
        return self.policy.device

    def lower(self, pack: Pack) -> Tensor | None:
        """The states under the trained layers, which all passes over the pack share."""
        return self._split.lower(pack.tree)

    def outputs(self, pack: Pack, lower_TD: Tensor | None) -> TokenOutputs:
        """As in `Actor`; where gradients are taken and entropy earns nothing, it is told as 0."""
        hidden_RD = self._split.upper(pack.tree, lower_TD, at_N=pack.predictor_R)
        critic = self.value_head
        told = (hidden_RD, pack.targets_R, head_of(self.policy))
        if torch.is_grad_enabled() and not self._pays_entropy:
            logprob_R = target_logprobs(*told, temperature=self._temperature)
            tokens = TokenLogprobs(logprob_R, torch.zeros_like(logprob_R))
        else:
            tokens = token_logprobs(*told, temperature=self._temperature)
        value_R = torch.zeros_like(tokens.logprob_R) if critic is None else critic(hidden_RD)
        return TokenOutputs(*tokens, value_R)

    def likelihoods(self, pack: Pack) -> Tensor:
        """Log-prob [R] of every response token, not tempered: of text that was not sampled."""
        hidden_RD = self._split.upper(pack.tree, self.lower(pack), at_N=pack.predictor_R)
        return target_logprobs(hidden_RD, pack.targets_R, head_of(self.policy))

    def nothing(self) -> Tensor:
        """A pass that adds 0, with gradients of 0: for a process that has fewer than the others.

        As theirs it begins at the cut: the states under it are known by then.
        """
        pack, model = pack_groups([NOBODY]).to(self.device), self.policy.model
        size = (len(pack.tree.tokens_T), model.config.hidden_size)
        states_TD = torch.zeros(size, dtype=model.dtype, device=model.device)
        lower_TD = states_TD if self._split.frozen else None
        return 0.0 * self._split.upper(pack.tree, lower_TD, at_N=pack.predictor_R).sum()

    @torch.no_grad()
    def reference_logprobs(self, pack: Pack, lower_TD: Tensor | None) -> Tensor:
        with self._as_reference():
            hidden_RD = self._split.upper(pack.tree, lower_TD, at_N=pack.predictor_R)
            return target_logprobs(
                hidden_RD, pack.targets_R, head_of(self.policy), temperature=self._temperature
            )

    @contextmanager
    def _as_reference(self) -> Iterator[None]:
        if not self._start:
            with adapters_off(self.policy.model):
                yield
            return
        weights = self.weights
        trained = {name: exchange(one, self._start[name]) for name, one in weights.items()}
        try:
            yield
        finally:
            for name, one in weights.items():
                exchange(one, trained[name])
