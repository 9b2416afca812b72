"""Whether a server computes what the trainer does, asked before a process first samples there.

It answers a few of the run's prompts, and tells its log-probs of what it drew, twice:

1. With an adapter that changes much. They must be nearer to those of the policy with it than without: else the server
   heeds no adapter, which none would see while the run's own still changes little.
2. With the policy's own. They must be about those of the policy: else the server serves other weights.

It is asked at temperature 1 whatever the run's: a server tells log-probs before the temperature.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from training.data.forward import response_logprobs
from training.data.packing import TokenGroup, pack_groups
from training.models.load import LoadedModel
from training.models.lora import adapted_layers
from training.rollout.sampler import Knobs, Sample
from training.runtime.run import at_rest
from training.runtime.sharding import exchange, own
from training.spec.errors import SamplerFailed
from training.spec.rollouts import RolloutSpec

PROMPTS_ASKED = 4
LONGEST = 32  # tokens of an answer
TOLD_GAP = 0.01  # nats a token; float32 stays below, bfloat16 makes about 0.04
REFUSED_GAP = 0.2  # other weights are nats away
REFUSED_GAP_IN_4_BITS = 0.5  # weights that the server holds whole


class Probe(NamedTuple):
    """The prompts that are asked and how, how far the answers may be off, and who hears how far they are."""

    prompts: Sequence[Sequence[int]]
    knobs: Knobs
    limit: float  # nats a token
    log: Callable[[str], None]

    @classmethod
    def of(
        cls, prompts: Sequence[Sequence[int]], spec: RolloutSpec, log: Callable[[str], None]
    ) -> "Probe":
        longest = min(LONGEST, spec.max_response_tokens)
        knobs = Knobs(n=1, temperature=1.0, top_p=1.0, max_tokens=longest, seed=spec.seed)
        limit = REFUSED_GAP if spec.quantize == "none" else REFUSED_GAP_IN_4_BITS
        return cls(prompts[:PROMPTS_ASKED], knobs, limit, log)


class Gap(NamedTuple):
    """Mean distance of a server's log-probs from a policy's, over so many tokens; NaN where it tells none."""

    nats: float
    tokens: int


Answers = Sequence[Sequence[Sample]]


def gap(policy: LoadedModel, probe: Probe, answers: Answers) -> Gap:
    """Of these answers, from the policy as it is now."""
    apart = []
    for prompt, (one,) in zip(probe.prompts, answers, strict=True):
        group = TokenGroup(prompt_id="", prompt=tuple(prompt), responses=(one.token_ids,))
        with at_rest(policy.model):
            told_R = response_logprobs(policy, pack_groups([group]).to(policy.device)).logprob_R
        pairs = zip(one.logprobs, told_R.tolist(), strict=False)
        apart += [abs(theirs - ours) for theirs, ours in pairs if not math.isnan(theirs)]
    return Gap(statistics.fmean(apart) if apart else math.nan, len(apart))


@contextmanager
def upset(policy: LoadedModel) -> Iterator[None]:
    """Inside, adapters hold noise about as large as what they are added to; the same in every process."""
    layers = adapted_layers(policy.model).values()
    draw = torch.Generator().manual_seed(0)
    kept = []
    for layer in layers:
        ((name, up),) = layer.lora_B.items()
        size = layer.r[name] ** 0.5 / (layer.lora_alpha[name] or 1.0)
        noise = size * torch.randn(own(up.weight).shape, generator=draw)
        kept.append((up.weight, exchange(up.weight, noise.to(own(up.weight)))))
    try:
        yield
    finally:
        for weight, values in kept:
            exchange(weight, values)


def refuse_another(
    url: str, policy: LoadedModel, probe: Probe, *, own_gap: Gap, with_it: Gap, without_it: Gap
) -> None:
    """Raise SamplerFailed where the server serves other weights or heeds no adapter; else log how far it is."""
    served = policy.model.name_or_path
    if math.isnan(own_gap.nats):
        probe.log(
            f"The server at {url} tells no log-probs of its tokens: whether it serves {served} and heeds adapters "
            "could not be checked."
        )
        return
    if own_gap.nats > probe.limit:
        raise SamplerFailed(
            f"The server at {url} serves another model than the run's: its log-probs of {own_gap.tokens} tokens are "
            f"{own_gap.nats:.3g} nats a token from those of the run's policy, where at most {probe.limit:g} is "
            f"rounding. Let it serve {served}, or sample elsewhere; then resume."
        )
    if without_it.nats < with_it.nats:
        raise SamplerFailed(
            f"The server at {url} answers without the adapters that it loads: its log-probs with one that changes "
            f"much are {with_it.nats:.3g} nats a token from the model with it, and {without_it.nats:.3g} from the "
            "model without. See that it answers by the adapter's name (vLLM: --enable-lora), or sample elsewhere; then "
            "resume."
        )
    if own_gap.nats > TOLD_GAP:
        probe.log(
            f"The server's log-probs of {own_gap.tokens} tokens are {own_gap.nats:.3g} nats a token from the "
            f"trainer's, above {TOLD_GAP:g}. If that is more than its number format makes, see that it serves {served}."
        )
