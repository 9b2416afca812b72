"""What the specs of all runs share, and how a field of a spec is declared.

Forms, JSON schema and command line derive from these fields. Every field carries ``help`` (a
sentence) and its bounds in its metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar

LOOKED_AT = 256  # prompts of the validation split, at most
LIKE_WITH_LIKE = "drops nothing out, for its ratios compare like with like"
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


def stopping(guards: Sequence[str]) -> Any:  # Any: as above
    """The field that names which of these guards stop the run."""
    told = ", ".join(guards)
    return setting(
        "", help=f"Guards that stop the run instead of warning, separated by commas: {told}."
    )


def names_in(text: str) -> list[str]:
    """The names of a list that is separated by commas."""
    return [one.strip() for one in text.split(",") if one.strip()]


def looked_at(*limits: int) -> int:
    """How many prompts of the validation split are looked at, at most; a limit of 0 is none."""
    return min((LOOKED_AT, *filter(None, limits)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What every trainer needs: a model, a snapshot folder, an optimizer."""

    kind: ClassVar[str] = ""
    title: ClassVar[str] = ""
    unused: ClassVar[Mapping[str, str]] = {}  # fields that say nothing to this kind of run, and why
    guards: ClassVar[tuple[str, ...]] = ("divergence",)  # that may stop this kind of run

    model: str = setting(help="Folder or hub name of the model to start from.")
    data: str = setting(help="Snapshot folder with groups.jsonl.")
    seed: int = setting(17, help="Seed of every random choice.", low=0, high=2**31 - 1)
    learning_rate: float = setting(1e-5, help="Peak learning rate.", low=1e-9, high=1.0)
    warmup_share: float = setting(
        0.05, help="Share of steps with rising learning rate.", low=0.0, high=1.0
    )
    schedule: str = setting(
        "linear",
        help="How the learning rate falls after the warm-up: to 0 in a line or along half a cosine, or not at all.",
        choices=("linear", "cosine", "constant"),
    )
    weight_decay: float = setting(0.0, help="AdamW weight decay.", low=0.0, high=1.0)
    max_grad_norm: float = setting(
        1.0, help="Gradients are clipped to this norm.", low=1e-6, high=1e6
    )
    epochs: float = setting(1.0, help="Passes over the training rows.", low=0.001, high=1000.0)
    max_steps: int = setting(
        0,
        help="Stop after this many optimizer steps, and measure the result on no more held-out prompts than they take; "
        "0 means no limit.",
        low=0,
        high=10**9,
    )
    groups_per_step: int = setting(8, help="Prompts in one optimizer step.", low=1, high=65536)
    tokens_per_forward: int = setting(
        4096,
        help="Token budget of one forward pass; gradients accumulate over a step.",
        low=16,
        high=10**7,
    )
    gradient_checkpointing: bool = setting(
        False,
        help="Keep only what enters each layer and compute the rest again for the gradient: less memory, more time, "
        "the same numbers.",
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
    lora_alpha: float = setting(16.0, help="LoRA scale numerator.", low=1e-3, high=4096.0)
    lora_dropout: float = setting(
        0.0, help="Share of what enters an adapter that is dropped out.", low=0.0, high=0.9
    )
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
    eval_every: int = setting(
        0,
        help="Steps between looks at the loss on the validation split (PPO, GRPO: updates between looks at the "
        "reward of held-out prompts); 0 never looks.",
        low=0,
        high=10**9,
    )
    stop_on: str = stopping(guards)
    precision: str = setting(
        "auto",
        help="Number format of the weights; auto takes bfloat16 for weights that are stored in half precision where "
        "the device computes in it, else float32.",
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

    @property
    def has_four_bits(self) -> bool:
        """Whether one of its models is held in 4 bits."""
        settings = [one.name for one in fields(self) if one.name.endswith("quantize")]
        return any(getattr(self, name) != "none" for name in settings)

    def tracker_names(self) -> tuple[str, ...]:
        """The tools of ``trackers``, each once."""
        return tuple(dict.fromkeys(names_in(self.trackers)))

    def stopping_guards(self) -> frozenset[str]:
        """The guards of ``stop_on``."""
        return frozenset(names_in(self.stop_on))

    def most_groups(self, split: str) -> int:
        """How many prompts of a split are read at most while it trains; 0 means all."""
        if split == "train":
            return self.max_groups
        return looked_at(self.max_groups, self.most_measured)

    @property
    def most_measured(self) -> int:
        """How many held-out prompts the result is measured on at most: what `max_steps` take; 0 means all."""
        return self.max_steps * self.groups_per_step

    def looks_within(self, steps: int) -> bool:
        """Whether a run of so many steps comes to a look at held-out records."""
        return 0 < self.eval_every <= steps

    def looks_at(self, step: int) -> bool:
        """Whether held-out records or prompts are looked at in this step."""
        return bool(self.eval_every) and step % self.eval_every == 0

    @classmethod
    def used_fields(cls) -> list["Field[Any]"]:  # Any: each field has its own type
        """The fields that a person may set."""
        return [one for one in fields(cls) if one.name not in cls.unused]

    def check(self) -> None:
        """Refuse fields that do not go together. Raises SpecError naming the one to change."""
