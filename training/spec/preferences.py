"""Specs of runs that learn from the records alone: SFT, reward model, DPO, KTO."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from training.spec.base import LIKE_WITH_LIKE, RunSpec, setting, stopping
from training.spec.errors import SpecError


def answering() -> Any:  # Any: as of `setting`
    """The field of held-out prompts that both policies answer when the result is measured."""
    return setting(
        32,
        help="Held-out prompts that both policies answer once, for KL, length and diversity; 0 asks none.",
        low=0,
        high=10**6,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSpec(RunSpec):
    """Supervised fine-tuning on chosen responses and demonstrations."""

    kind: ClassVar[str] = "sft"
    title: ClassVar[str] = "Supervised fine-tuning"

    include_chosen: bool = setting(
        True, help="Train on the best candidate of a prompt too, not only on demonstrations."
    )
    eval_prompts: int = answering()


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
class ReferenceSpec(RunSpec):
    """What every algorithm needs that learns from records how far to move away from the starting policy."""

    unused: ClassVar[Mapping[str, str]] = {"lora_dropout": LIKE_WITH_LIKE}
    guards: ClassVar[tuple[str, ...]] = ("divergence", "log_ratio")

    beta: float = setting(
        0.1, help="Price of moving away from the starting policy.", low=1e-4, high=100.0
    )
    max_log_ratio: float = setting(
        100.0,
        help="Warn where a response is on average this many nats from the starting policy; 0 never.",
        low=0.0,
        high=1e6,
    )
    eval_prompts: int = answering()
    stop_on: str = stopping(guards)


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoSpec(ReferenceSpec):
    """Direct preference optimization (Rafailov et al. 2023): the policy is its own reward model."""

    kind: ClassVar[str] = "dpo"
    title: ClassVar[str] = "DPO"

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
class KtoSpec(ReferenceSpec):
    """Kahneman-Tversky optimization (Ethayarajh et al. 2024) on single good and bad responses."""

    kind: ClassVar[str] = "kto"
    title: ClassVar[str] = "KTO"

    desirable_weight: float = setting(1.0, help="Weight of a good response.", low=0.0, high=100.0)
    undesirable_weight: float = setting(1.0, help="Weight of a bad response.", low=0.0, high=100.0)

    def check(self) -> None:
        """As in RunSpec: something must weigh."""
        if not (self.desirable_weight or self.undesirable_weight):
            raise SpecError(
                "desirable_weight: with undesirable_weight 0 too nothing is learned; set one above 0."
            )
