"""Our side of one measurement, in a process of its own: `python -m tests.bench.training.ours JOB...`."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor

from tests.bench.training.meter import Job, Meter, measure_all
from training.models.load import LoadedModel, load_policy
from training.rollout.actor_critic import Actor
from training.rollout.buffer import Part, Rollout
from training.rollout.recall import minibatch_orders
from training.rollout.sampler import Knobs, LocalSampler
from training.runtime import device, optimize
from training.runtime.metrics import Reporter, read_tensors
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.rollouts import GrpoSpec, PpoSpec
from training.trainers import dpo, grpo, kto, ppo, reward_model, sft

SETTINGS = {
    "seed": 17,
    "learning_rate": 1e-5,
    "warmup_share": 0.0,
    "tokens_per_forward": 16384,
    "max_prompt_tokens": 1024,
    "max_response_tokens": 512,
    "checkpoint_every": 10**6,
}


class MeteringReporter(Reporter):
    """Tells the meter when the rows are read (work begins) and when a step is done."""

    def __init__(self, folder: Path, meter: Meter) -> None:
        super().__init__(folder, has_bar=False)
        self._meter = meter

    def log(self, message: str, **facts: object) -> None:
        super().log(message, **facts)
        self._meter.begin()

    def metrics(self, values: Mapping[str, Tensor | float], *, step: int) -> None:
        super().metrics(values, step=step)
        told = read_tensors(values)
        if "value_loss" in told:
            self._meter.value_losses.append(told["value_loss"])
        self._meter.step(told.get("loss", told.get("policy_loss", 0.0)))


def records(job: Job, meter: Meter, name: str, a_step: int) -> None:
    """Reward models, DPO, KTO and SFT on a snapshot."""
    kind, train = {
        "reward": (RewardModelSpec, reward_model.train),
        "reward_many": (RewardModelSpec, reward_model.train),
        "hh_rankings": (RewardModelSpec, reward_model.train),
        "oasst_rankings": (RewardModelSpec, reward_model.train),
        "dpo": (DpoSpec, dpo.train),
        "kto": (KtoSpec, kto.train),
        "sft": (SftSpec, sft.train),
    }[job.case]
    start = {"head_start": "random"} if kind is RewardModelSpec else {}  # as the peer's
    spec = kind(
        model=job.folder("policy"),
        data=job.folder(f"{name}-{job.steps}"),
        groups_per_step=a_step,
        max_steps=job.steps,
        precision=job.precision,
        **SETTINGS | start,
    )
    meter.units = float(a_step * job.steps)
    with running(job, meter) as run:
        train(run, spec)  # type: ignore[operator] # a spec and its trainer belong together


def rollouts(job: Job, meter: Meter) -> None:
    """PPO with a shared critic: 4 prompts, 4 responses each."""
    meter.units = 16.0 * job.steps
    with running(job, meter) as run:
        meter.begin()
        ppo.train(run, spec_of_rollouts(job))


def compared(job: Job, meter: Meter) -> None:
    """GRPO: 4 prompts, 4 responses each, learned from once."""
    meter.units = 16.0 * job.steps
    once = {"update_epochs": 1, "minibatches": 1, "kl_coefficient": 0.05}
    spec = GrpoSpec(**alike(job) | once)
    with running(job, meter) as run:
        meter.begin()
        grpo.train(run, spec)


def losses_of_ppo(job: Job, meter: Meter) -> None:
    """One update as TRL would make it; what it learns from is left for the peer, in the order of its minibatches.

    No response ends before its 64 tokens: in padding TRL pays a score one token after the end.
    """
    spec = replace(
        spec_of_rollouts(job),
        value_start="policy",
        value_learning_rate=SETTINGS["learning_rate"],
        schedule="constant",
        max_grad_norm=1e6,
        normalize_rewards=False,
        missing_eos_penalty=0.0,
        adaptive_kl_target=0.0,
    )
    recall = ppo.recall

    def endless(_run: Run, policy: LoadedModel, *_: object) -> LocalSampler:
        sampler = LocalSampler(policy.model, policy.tokenizer, rows=job.rows_at_once)
        sampler.end_ids = (-1,)
        return sampler

    def left_for_the_peer(
        actor: Actor, rollouts: Sequence[Rollout], spec: PpoSpec
    ) -> list[list[Part]]:
        rows = [
            {"prompt": one.tokens.prompt, "response": response, "score": score}
            for one in rollouts
            for response, score in zip(one.tokens.responses, one.scores, strict=True)
        ]
        orders = list(minibatch_orders(spec.minibatches, spec, update=0))
        learned = {"rows": rows, "orders": orders}
        job.learned_from.write_text(json.dumps(learned))
        return recall(actor, rollouts, spec)

    with (
        running(job, meter) as run,
        patch.object(ppo, "sampler_of", endless),
        patch.object(ppo, "recall", left_for_the_peer),
    ):
        ppo.train(run, spec)


def spec_of_rollouts(job: Job) -> PpoSpec:
    return PpoSpec(**alike(job) | {"update_epochs": 4, "minibatches": 2})


def alike(job: Job) -> dict[str, Any]:  # Any: values of fields
    """What PPO and GRPO are asked alike."""
    return {
        "model": job.folder("policy"),
        "data": job.folder(f"prompts-{job.steps}"),
        "reward_model": job.folder("reward"),
        "updates": job.steps,
        "groups_per_step": 4,
        "rollouts_per_update": 16,
        "target_kl": 0.0,
        "temperature": 1.0,
        "precision": job.precision,
        **SETTINGS | {"max_response_tokens": 64},
    }


@contextmanager
def running(job: Job, meter: Meter) -> Iterator[Run]:
    """A run in a folder of its own, metered."""
    if job.measure == "memory":
        _return_freed_memory(meter)
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        MeteringReporter(Path(folder), meter) as reporter,
        meter.counting(),
    ):
        yield Run(folder=Path(folder), reporter=reporter, stop=StopRequest())


def _return_freed_memory(meter: Meter) -> None:
    """As the peers' processes do, so that what is held is what is used."""
    device._keep_freed_memory = lambda: None
    backward = optimize.Optimizer.backward

    def told(self: optimize.Optimizer, loss: Tensor) -> None:
        meter.forward_done()
        backward(self, loss)

    optimize.Optimizer.backward = told  # type: ignore[method-assign] # only in this process


def generation(job: Job, meter: Meter) -> None:
    """4 responses to each prompt, some rows at a time; finished rows leave the batch."""
    policy = load_policy(job.folder("policy"), precision=job.precision, device=device.pick_device())
    prompts = job.rows("prompts-{}_prompts")
    sampler = LocalSampler(policy.model, policy.tokenizer, rows=job.rows_at_once)
    knobs = Knobs(n=4, temperature=1.0, top_p=1.0, max_tokens=256, seed=17)
    if job.is_cuda:
        sampler.sample_tokens(prompts, knobs._replace(max_tokens=4))  # kernels are loaded here
    with meter.counting():
        meter.begin()
        samples = sampler.sample_tokens(prompts, knobs)
        lengths = [len(one.token_ids) for drawn in samples for one in drawn]
        meter.step(sum(lengths) / len(lengths))
    meter.units = float(sum(lengths))


CASES: dict[str, Callable[[Job, Meter], None]] = {
    "reward": lambda job, meter: records(job, meter, "pairs", 8),
    "reward_many": lambda job, meter: records(job, meter, "many_pairs", 32),
    "hh_rankings": lambda job, meter: records(job, meter, "hh_rankings", 8),
    "oasst_rankings": lambda job, meter: records(job, meter, "oasst_rankings", 8),
    "dpo": lambda job, meter: records(job, meter, "pairs", 8),
    "kto": lambda job, meter: records(job, meter, "pairs", 8),
    "sft": lambda job, meter: records(job, meter, "pairs", 8),
    "ppo": rollouts,
    "grpo": compared,
    "ppo_losses": losses_of_ppo,
    "generation": generation,
}


if __name__ == "__main__":
    measure_all(CASES)
