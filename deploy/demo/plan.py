"""How large a lap is, and which specs its runs have."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.spec.presets import preset_of

HERE = Path(__file__).resolve().parent
PROMPTS = HERE / "prompts.jsonl"

ALSO = ("dpo", "grpo")  # trained too where they are asked for
Settings = dict[str, Any]  # Any: fields of a spec, checked by training.spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One lap: its project, how much it samples, and the settings of its runs by kind."""

    project: str
    per_prompt: int = 4
    max_tokens: int = 48
    prompts: int = 0  # 0: all of the file
    overlap: int = 3
    shares: tuple[float, float, float] = (0.6, 0.15, 0.25)  # train, validation, test
    next_prompts: int = 8  # answered by the new policy, for people to compare
    settings: dict[str, Settings] = field(default_factory=dict)


def demo_settings(**changes: Settings) -> dict[str, Settings]:
    """The demo presets of every kind a lap trains, with changes by kind."""
    kinds = ("reward_model", "sft", "ppo", *ALSO)
    return {kind: preset_of("demo", kind) | changes.get(kind, {}) for kind in kinds}


DEMO = Plan(
    project="Demo",
    prompts=96,
    settings=demo_settings(
        reward_model={"epochs": 3.0, "learning_rate": 1e-4, "layers": 16},
        # So few updates teach a value nothing: the other answers to a prompt are the baseline.
        ppo={"updates": 6, "baseline": "leave_one_out", "learning_rate": 5e-4},
        dpo={"learning_rate": 5e-5},
        grpo={"updates": 6, "learning_rate": 5e-4},
    ),
)
"""The lap of `make demo`: about a hundred short questions, SmolLM2-135M, simulated labelers."""

REAL = Plan(
    project="Demo: real judgments",
    shares=(0.8, 0.06, 0.14),
    settings=demo_settings(
        reward_model={
            "max_prompt_tokens": 192,
            "max_response_tokens": 128,
            "groups_per_step": 16,
            "layers": 16,
            "learning_rate": 2e-5,
        },
        sft={
            "max_prompt_tokens": 192,
            "max_response_tokens": 128,
            "max_groups": 256,
            "tokens_per_forward": 1024,  # the logits of twice as many take 2 GB more
        },
        # Answers of 48 tokens end in mid-sentence, where a model of whole answers tells little.
        ppo={
            "updates": 16,
            "baseline": "leave_one_out",
            "learning_rate": 5e-4,
            "kl_coefficient": 0.01,
            "max_response_tokens": 96,
            "eval_prompts": 96,
        },
        dpo={
            "max_prompt_tokens": 192,
            "max_response_tokens": 128,
            "max_groups": 320,
            "learning_rate": 2e-4,
            "tokens_per_forward": 1024,
        },
        grpo={
            "updates": 10,
            "learning_rate": 5e-4,
            "kl_coefficient": 0.01,
            "max_response_tokens": 96,
            "eval_prompts": 64,
        },
    ),
)
"""The lap of `make demo DATA=...`: judgments that people gave."""

SMOKE = Plan(
    project="Smoke",
    prompts=24,
    per_prompt=3,
    max_tokens=12,
    overlap=2,
    next_prompts=5,
    settings=demo_settings(
        reward_model={"max_response_tokens": 16},
        sft={"max_response_tokens": 16},
        ppo={
            "max_response_tokens": 12,
            "updates": 2,
            "groups_per_step": 8,
            "rollouts_per_update": 8,
        },
        dpo={"max_response_tokens": 16},
        grpo={
            "max_response_tokens": 12,
            "updates": 2,
            "groups_per_step": 4,
            "rollouts_per_update": 8,
        },
    ),
)
"""A lap in seconds, for a tiny model: proves the machinery, learns nothing."""
