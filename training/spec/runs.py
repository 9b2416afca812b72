"""Specs: the frozen, validated instructions of a run.

Forms, JSON schema and command line derive from these fields. Every field carries ``help`` (a
sentence) and its bounds in its metadata; `spec_from_dict` checks them, then what must go together
(`RunSpec.check`), and names the field, the value seen and what is allowed.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar

from training.spec.errors import SpecError

TRACKER_NAMES = ("tensorboard", "wandb", "mlflow", "trackio")


def setting(
    default: Any = MISSING,
    *,
    help: str,  # noqa: A002 - the reader's word
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:  # Any: dataclass fields are typed by their annotation
    """A spec field with its help sentence and its bounds (inclusive)."""
    return field(
        default=default, metadata={"help": help, "low": low, "high": high, "choices": choices}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What every trainer needs: a model, a snapshot folder, an optimizer."""

    kind: ClassVar[str] = ""
    title: ClassVar[str] = ""

    model: str = setting(help="Folder or hub name of the model to start from.")
    data: str = setting(help="Snapshot folder with groups.jsonl.")
    seed: int = setting(17, help="Seed of every random choice.", low=0, high=2**31 - 1)
    learning_rate: float = setting(1e-5, help="Peak learning rate.", low=1e-9, high=1.0)
    warmup_share: float = setting(
        0.05, help="Share of steps with rising learning rate.", low=0.0, high=1.0
    )
    weight_decay: float = setting(0.0, help="AdamW weight decay.", low=0.0, high=1.0)
    max_grad_norm: float = setting(
        1.0, help="Gradients are clipped to this norm.", low=1e-6, high=1e6
    )
    epochs: float = setting(1.0, help="Passes over the training rows.", low=0.001, high=1000.0)
    max_steps: int = setting(
        0, help="Stop after this many optimizer steps; 0 means no limit.", low=0, high=10**9
    )
    groups_per_step: int = setting(8, help="Prompts in one optimizer step.", low=1, high=65536)
    tokens_per_forward: int = setting(
        4096,
        help="Token budget of one forward pass; gradients accumulate over a step.",
        low=16,
        high=10**7,
    )
    max_prompt_tokens: int = setting(512, help="Longer prompts keep their end.", low=1, high=10**6)
    max_response_tokens: int = setting(
        512, help="Longer responses are cut, and counted.", low=1, high=10**6
    )
    trainable_layers: int = setting(
        0,
        help="Train only the top N transformer layers (and heads); 0 trains all.",
        low=0,
        high=1000,
    )
    lora_rank: int = setting(0, help="LoRA rank; 0 trains the full weights.", low=0, high=1024)
    lora_alpha: float = setting(16.0, help="LoRA scale numerator.", low=0.0, high=4096.0)
    lora_dropout: float = setting(0.0, help="LoRA dropout.", low=0.0, high=0.9)
    quantize: str = setting(
        "none",
        help="Hold the frozen weights in 4 bits (QLoRA); nf4 needs lora_rank and bitsandbytes.",
        choices=("none", "nf4"),
    )
    sharding: str = setting(
        "none",
        help="With several processes: full keeps only a part of each layer in each (FSDP2).",
        choices=("none", "full"),
    )
    checkpoint_every: int = setting(50, help="Steps between checkpoints.", low=1, high=10**9)
    precision: str = setting(
        "auto",
        help="Number format of the weights; auto takes the faster one that fits.",
        choices=("auto", "float32", "bfloat16"),
    )
    max_groups: int = setting(
        0, help="Use at most this many training prompts; 0 means all.", low=0, high=10**9
    )
    trackers: str = setting(
        "",
        help="Other tools that are told every number, separated by commas: tensorboard, wandb, "
        "mlflow, trackio.",
    )

    def tracker_names(self) -> tuple[str, ...]:
        """The tools of ``trackers``, each once. Raises SpecError for one that is not known."""
        names = [one.strip() for one in self.trackers.split(",") if one.strip()]
        for name in names:
            if name not in TRACKER_NAMES:
                raise SpecError(f"trackers: {name!r} is not one of {', '.join(TRACKER_NAMES)}.")
        return tuple(dict.fromkeys(names))

    def check(self) -> None:
        """Refuse fields that do not go together. Raises SpecError naming the one to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSpec(RunSpec):
    """Supervised fine-tuning on chosen responses and demonstrations."""

    kind: ClassVar[str] = "sft"
    title: ClassVar[str] = "Supervised fine-tuning"

    include_chosen: bool = setting(
        True, help="Train on the best candidate of a prompt too, not only on demonstrations."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardModelSpec(RunSpec):
    """Bradley-Terry reward model on judged pairs (Ouyang et al. 2022, eq. 1)."""

    kind: ClassVar[str] = "reward_model"
    title: ClassVar[str] = "Reward model"

    use_soft_labels: bool = setting(
        True, help="Weigh each pair by its votes instead of by the majority."
    )
    use_margin: bool = setting(
        False, help="Subtract a margin by strength (Llama 2: 1, 2/3, 1/3, 0)."
    )
    label_smoothing: float = setting(
        0.0, help="Share of labels treated as flipped.", low=0.0, high=0.49
    )
    centering: float = setting(
        0.01, help="Weight of the squared mean score (keeps scores near 0).", low=0.0, high=1.0
    )
    ties: str = setting(
        "drop",
        help="What a tie does: nothing, half a win for each, or a third outcome whose probability "
        "is learned (Davidson 1970; Rao and Kupper 1967).",
        choices=("drop", "half", "davidson", "rao_kupper"),
    )
    objective: str = setting(
        "pairs",
        help="plackett_luce learns from whole rankings where the pairs of a prompt form one; "
        "the other prompts stay pairs.",
        choices=("pairs", "plackett_luce"),
    )
    heads: int = setting(
        1,
        help="Heads, each with its own start and its own bootstrap weights of prompts; the score is "
        "their mean, their disagreement tells where it is unsure.",
        low=1,
        high=8,
    )
    head_start: str = setting(
        "fitted",
        help="Where the heads start: fitted to the backbone's states as they are, or random.",
        choices=("fitted", "random"),
    )
    layers: int = setting(
        0,
        help="Keep only the lowest N layers of the model; 0 keeps all. What a small model knows of "
        "quality often lies in its middle, and half the layers cost half the time.",
        low=0,
        high=1000,
    )

    def check(self) -> None:
        """As in RunSpec: a ranking has no strengths."""
        if self.use_margin and self.objective == "plackett_luce":
            raise SpecError(
                "use_margin: a ranking knows no strengths; leave it out, or choose objective pairs."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoSpec(RunSpec):
    """Direct preference optimization (Rafailov et al. 2023): the policy is its own reward model."""

    kind: ClassVar[str] = "dpo"
    title: ClassVar[str] = "DPO"

    beta: float = setting(
        0.1, help="Price of moving away from the starting policy.", low=1e-4, high=100.0
    )
    loss: str = setting(
        "sigmoid",
        help="Loss on the difference of log-ratios; conservative and robust use label_noise.",
        choices=("sigmoid", "conservative", "robust", "ipo", "hinge"),
    )
    label_noise: float = setting(
        0.1, help="Share of flipped labels that conservative and robust expect.", low=0.0, high=0.49
    )
    use_soft_labels: bool = setting(
        False, help="Weigh each pair by its votes; only with the sigmoid loss."
    )

    def check(self) -> None:
        """As in RunSpec: soft labels have a meaning for the sigmoid loss alone."""
        if self.use_soft_labels and self.loss != "sigmoid":
            raise SpecError(
                f"use_soft_labels: only the sigmoid loss takes soft labels, not {self.loss}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class KtoSpec(RunSpec):
    """Kahneman-Tversky optimization (Ethayarajh et al. 2024) on single good and bad responses."""

    kind: ClassVar[str] = "kto"
    title: ClassVar[str] = "KTO"

    beta: float = setting(
        0.1, help="Price of moving away from the starting policy.", low=1e-4, high=100.0
    )
    desirable_weight: float = setting(1.0, help="Weight of a good response.", low=0.0, high=100.0)
    undesirable_weight: float = setting(1.0, help="Weight of a bad response.", low=0.0, high=100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSpec(RunSpec):
    """What every algorithm needs that learns from its own scored responses."""

    reward_model: str = setting(help="Folder of the reward model.")
    held_out_reward_model: str = setting(
        "",
        help="Folder of a second reward model that does not teach: a guard warns where its scores fall "
        "while the reward rises.",
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
    temperature: float = setting(0.9, help="Sampling temperature.", low=0.01, high=10.0)
    top_p: float = setting(
        1.0, help="Nucleus sampling; 1 samples from the whole vocabulary.", low=0.01, high=1.0
    )
    clip_range: float = setting(0.2, help="Ratio clip epsilon.", low=0.001, high=10.0)
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
        """As in RunSpec: the rollouts of an update go up, and a server can follow the policy."""
        self.samples_per_prompt(self.groups_per_step)
        if self.sampler_url and not self.lora_rank:
            raise SpecError(
                "sampler_url: a server follows the policy by its adapter alone; set lora_rank, for "
                "example to 16, or leave sampler_url empty."
            )

    def samples_per_prompt(self, prompts: int) -> int:
        """Responses to each of the ``prompts`` of an update; fewer than groups_per_step where data is short."""
        if self.rollouts_per_update % prompts:
            raise SpecError(
                f"rollouts_per_update: {self.rollouts_per_update} is not a multiple of the "
                f"{prompts} prompts in an update (groups_per_step)."
            )
        if self.minibatches > prompts:
            raise SpecError(
                f"minibatches: {self.minibatches} is more than the {prompts} prompts in an update "
                "(groups_per_step)."
            )
        return self.rollouts_per_update // prompts


def refuse_single_samples(spec: RolloutSpec, field: str, value: str) -> None:
    """Raise SpecError where a response has no others of its prompt to be compared with."""
    if spec.samples_per_prompt(spec.groups_per_step) < 2:
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
        """As in RolloutSpec: leaving one out needs others."""
        RolloutSpec.check(self)
        if self.baseline == "leave_one_out":
            refuse_single_samples(self, "baseline", self.baseline)


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


SPECS: dict[str, type[RunSpec]] = {
    one.kind: one for one in (SftSpec, RewardModelSpec, PpoSpec, DpoSpec, KtoSpec, GrpoSpec)
}


def spec_to_dict(spec: RunSpec) -> dict[str, Any]:
    """The JSON object of a spec, with its kind."""
    return {"kind": spec.kind, **asdict(spec)}


def spec_from_dict(row: Mapping[str, Any]) -> RunSpec:
    """The spec of a JSON object. Raises SpecError naming field, value and what is allowed."""
    kind = row.get("kind")
    if kind not in SPECS:
        raise SpecError(f"kind: {kind!r} is not one of {', '.join(SPECS)}.")
    cls = SPECS[kind]
    known = {one.name: one for one in fields(cls)}
    if unknown := sorted(set(row) - set(known) - {"kind"}):
        raise SpecError(f"{unknown[0]}: {cls.title} has no such field; it has {', '.join(known)}.")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, one in known.items():
        if name not in row:
            if one.default is MISSING:
                raise SpecError(f"{name}: this field is required. {one.metadata['help']}")
            continue
        values[name] = _checked(name, row[name], hints[name], one.metadata)
    spec = cls(**values)
    _refuse_bare_quantization(spec)
    spec.tracker_names()
    spec.check()
    return spec


def _refuse_bare_quantization(spec: RunSpec) -> None:
    if spec.quantize != "none" and not spec.lora_rank:
        raise SpecError(
            f"quantize: {spec.quantize} freezes the weights in 4 bits, and something must be trained; "
            "set lora_rank, for example to 16, or quantize to none."
        )
    if spec.quantize != "none" and spec.sharding != "none":
        raise SpecError(
            "sharding: weights in 4 bits cannot be sharded; set sharding to none, or quantize to none."
        )


def _checked(name: str, value: Any, wanted: Any, rules: Mapping[str, Any]) -> Any:
    value = _coerced(name, value, wanted)
    low, high, choices = rules["low"], rules["high"], rules["choices"]
    if choices is not None and value not in choices:
        raise SpecError(f"{name}: {value!r} is not one of {', '.join(choices)}.")
    if low is not None and not low <= value <= high:
        raise SpecError(f"{name}: {value!r} is outside {low} to {high}.")
    return value


def _coerced(name: str, value: Any, wanted: Any) -> Any:
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(wanted, types.UnionType):
        return value
    if type(value) is not wanted:
        raise SpecError(f"{name}: {value!r} is not of type {wanted.__name__}.")
    return value


def json_schema(kind: str) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of one spec, for the API, the form and the frozen snapshot."""
    cls = SPECS[kind]
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    hints = typing.get_type_hints(cls)
    properties: dict[str, Any] = {"kind": {"const": kind}}
    for one in fields(cls):
        rule = {"type": names[hints[one.name]], "description": one.metadata["help"]}
        bounds = {"minimum": "low", "maximum": "high", "enum": "choices"}
        rule |= {
            key: one.metadata[ours]
            for key, ours in bounds.items()
            if one.metadata[ours] is not None
        }
        if one.default is not MISSING:
            rule["default"] = one.default
        properties[one.name] = rule
    required = ["kind", *(one.name for one in fields(cls) if one.default is MISSING)]
    return {
        "title": cls.title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
