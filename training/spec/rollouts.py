"""Specs of runs that learn from their own scored responses: PPO, GRPO."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from training.spec.base import LIKE_WITH_LIKE, RunSpec, setting, stopping
from training.spec.errors import SpecError

# The environment variable with the key of the server that samples.
SAMPLER_KEY = "CONCORD_SAMPLER_KEY"
ROLLED_OUT = "makes `updates` from new responses instead of passes over the rows; set updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSpec(RunSpec):
    """What every algorithm needs that learns from its own scored responses."""

    unused: ClassVar[Mapping[str, str]] = {
        "epochs": ROLLED_OUT,
        "max_steps": ROLLED_OUT,
        "lora_dropout": LIKE_WITH_LIKE,
    }
    guards: ClassVar[tuple[str, ...]] = (
        "entropy",
        "length",
        "disagreement",
        "distinct",
        "held_out_reward",
    )

    reward_model: str = setting(help="Folder of the reward model.")
    held_out_reward_model: str = setting(
        "",
        help="Folder of a second reward model that does not teach: a guard warns where its scores fall "
        "while the reward rises.",
    )
    reward_quantize: str = setting(
        "none",
        help="Hold the reward model, and the held-out one, in 4 bits; nf4 needs bitsandbytes.",
        choices=("none", "nf4"),
    )
    sampler_url: str = setting(
        "",
        help="Base address (with /v1) of a vLLM server that samples the responses, with the run's "
        "LoRA adapter; empty samples in this process.",
    )
    updates: int = setting(20, help="Updates: one batch of rollouts each.", low=1, high=10**7)
    rollouts_per_update: int = setting(32, help="Responses sampled an update.", low=2, high=10**6)
    update_epochs: int = setting(2, help="Passes over one batch of rollouts.", low=1, high=100)
    minibatches: int = setting(2, help="Optimizer steps in one pass.", low=1, high=1000)
    rows_at_once: int = setting(
        96,
        help="Responses sampled together (all to one prompt at least); fewer take less memory, and more time.",
        low=1,
        high=10**6,
    )
    temperature: float = setting(0.9, help="Sampling temperature.", low=0.01, high=10.0)
    top_p: float = setting(
        1.0, help="Nucleus sampling; 1 samples from the whole vocabulary.", low=0.01, high=1.0
    )
    clip_range: float = setting(0.2, help="Ratio clip epsilon.", low=0.001, high=10.0)
    importance_cap: float = setting(
        0.0,
        help="Weigh each token by its probability to the trainer over that to the sampler, at most by this; "
        "0 does not weigh.",
        low=0.0,
        high=1000.0,
    )
    kl_coefficient: float = setting(
        0.05, help="Beta, the price of KL (its start value in PPO).", low=0.0, high=100.0
    )
    target_kl: float = setting(
        0.1,
        help="Stop an update's epochs at this approximate KL a token from its start; 0 never.",
        low=0.0,
        high=100.0,
    )
    max_kl: float = setting(
        30.0, help="Stop the run beyond this KL a response; 0 never.", low=0.0, high=10_000.0
    )
    stop_on: str = stopping(guards)
    missing_eos_penalty: float = setting(
        1.0, help="Taken from the reward of a response that did not end.", low=0.0, high=100.0
    )
    uncertainty_penalty: float = setting(
        0.0,
        help="Taken from a reward, times the deviation of the reward model's heads; needs several.",
        low=0.0,
        high=100.0,
    )
    eval_prompts: int = setting(
        32, help="Held-out prompts for the reward before and after.", low=0, high=10**6
    )
    eval_samples: int = setting(
        2, help="Answers to each held-out prompt, before and after.", low=1, high=1000
    )

    def check(self) -> None:
        """As in RunSpec: the rollouts of an update go up, guards have what they look at, a server can follow."""
        self._check_batch()
        if self.eval_every and not self.eval_prompts:
            raise SpecError(
                "eval_every: there are no held-out prompts to look at; set eval_prompts above 0, or leave "
                "eval_every at 0."
            )
        if "held_out_reward" in self.stopping_guards() and not self.held_out_reward_model:
            raise SpecError(
                "stop_on: held_out_reward looks at the scores of a held-out reward model; choose one "
                "(held_out_reward_model), or leave the guard out."
            )
        if self.sampler_url and not self.lora_rank:
            raise SpecError(
                "sampler_url: a server follows the policy by its adapter alone; set lora_rank, for "
                "example to 16, or let the run's own process sample."
            )
        if self.importance_cap and self.sampler_url and self.temperature != 1:
            raise SpecError(
                f"importance_cap: {self.importance_cap:g} weighs by what the sampler told, and a server "
                f"tells log-probs before the temperature, {self.temperature:g}: set temperature to 1, or leave "
                "importance_cap at 0."
            )

    @property
    def samples_per_prompt(self) -> int:
        """Responses to each prompt of an update."""
        return self.rollouts_per_update // self.groups_per_step

    def _check_batch(self) -> None:
        prompts, rollouts = self.groups_per_step, self.rollouts_per_update
        of_these = f"the {prompts} prompts in an update (groups_per_step)"
        if rollouts % prompts:
            above = prompts * (rollouts // prompts + 1)
            fitting = " or ".join(str(one) for one in (above - prompts, above) if one)
            raise SpecError(
                f"rollouts_per_update: {rollouts} is not a multiple of {of_these}. Set it to {fitting}."
            )
        if self.minibatches > prompts:
            raise SpecError(
                f"minibatches: {self.minibatches} is more than {of_these}. Set it to {prompts} at most."
            )


def refuse_single_samples(spec: RolloutSpec, field: str, value: str) -> None:
    """Raise SpecError where a response has no others of its prompt to be compared with."""
    if spec.samples_per_prompt < 2:
        raise SpecError(
            f"{field}: {value} compares the responses to one prompt; rollouts_per_update "
            f"{spec.rollouts_per_update} over {spec.groups_per_step} prompts (groups_per_step) "
            "leaves one each. Sample at least two."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoSpec(RolloutSpec):
    """Proximal policy optimization against a reward model (Schulman et al. 2017)."""

    kind: ClassVar[str] = "ppo"
    title: ClassVar[str] = "PPO"
    guards: ClassVar[tuple[str, ...]] = (*RolloutSpec.guards, "divergence")

    baseline: str = setting(
        "value",
        help="What a response is compared with: a learned value of every token, or the mean reward "
        "of the prompt's other responses (RLOO), which learns no value.",
        choices=("value", "leave_one_out"),
    )
    gamma: float = setting(1.0, help="Discount of later rewards.", low=0.0, high=1.0)
    gae_lambda: float = setting(0.95, help="GAE lambda.", low=0.0, high=1.0)
    value_clip_range: float = setting(0.2, help="Value clip epsilon.", low=0.001, high=100.0)
    value_weight: float = setting(0.1, help="Weight of the value loss.", low=0.0, high=100.0)
    value_learning_rate: float = setting(
        1e-3, help="Peak learning rate of the value head, which starts at zero.", low=1e-9, high=1.0
    )
    stop_on: str = stopping(guards)
    value_start: str = setting(
        "zero",
        help="Where the value head begins: at zero, or (policy) as PPO left it beside the model that this run starts "
        "from.",
        choices=("zero", "policy"),
    )
    entropy_weight: float = setting(0.0, help="Weight of the entropy bonus.", low=0.0, high=1.0)
    ptx_weight: float = setting(
        0.0,
        help="Weight of imitating the train split's demonstrations and chosen responses in every step "
        "(PPO-ptx); 0 leaves it out.",
        low=0.0,
        high=1000.0,
    )
    kl_estimator: str = setting(
        "k1", help="Estimator of the per-token KL.", choices=("k1", "k2", "k3")
    )
    adaptive_kl_target: float = setting(
        6.0,
        help="Target KL a response of the adaptive controller (Ziegler 2019); 0 keeps beta fixed.",
        low=0.0,
        high=1000.0,
    )
    adaptive_kl_horizon: int = setting(
        10_000, help="Horizon of the adaptive controller in responses.", low=1, high=10**9
    )
    normalize_rewards: bool = setting(
        True, help="Take the running mean from rewards and divide them by their running deviation."
    )

    def check(self) -> None:
        """As in RolloutSpec: leaving one out needs others, and has no value, neither a start nor a loss."""
        RolloutSpec.check(self)
        if self.baseline != "leave_one_out":
            return
        refuse_single_samples(self, "baseline", self.baseline)
        if self.value_start != "zero":
            raise SpecError(
                f"value_start: {self.value_start} is where a value begins, and with baseline leave_one_out none is "
                "learned; set value_start to zero, or baseline to value."
            )
        if "divergence" in self.stopping_guards():
            raise SpecError(
                "stop_on: divergence looks at the value's loss, and with baseline leave_one_out none is learned; "
                "leave the guard out, or set baseline to value."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoSpec(RolloutSpec):
    """Group-relative policy optimization (Shao et al. 2024) against a reward model; no value."""

    kind: ClassVar[str] = "grpo"
    title: ClassVar[str] = "GRPO"

    variant: str = setting(
        "grpo",
        help="dr_grpo (Liu et al. 2025) divides neither by the deviation of a prompt's rewards nor "
        "by the length of a response.",
        choices=("grpo", "dr_grpo"),
    )
    clip_range_high: float = setting(
        0.2, help="Ratio clip epsilon upwards (DAPO raises it).", low=0.001, high=10.0
    )

    def check(self) -> None:
        """As in RolloutSpec: a group has at least two."""
        RolloutSpec.check(self)
        refuse_single_samples(self, "kind", "GRPO")
