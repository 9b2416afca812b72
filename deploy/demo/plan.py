"""How large a lap is, and which specs its three runs have."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROMPTS = HERE / "prompts.jsonl"

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


DEMO = Plan(
    project="Demo",
    settings={
        "reward_model": {"max_prompt_tokens": 128, "max_response_tokens": 64},
        "sft": {"max_prompt_tokens": 128, "max_response_tokens": 64},
        "ppo": {"max_prompt_tokens": 128, "max_response_tokens": 48},
    },
)
"""The lap of `make demo`: about a hundred short questions, SmolLM2-135M, simulated labelers."""

REAL = Plan(
    project="Demo: real judgments",
    shares=(0.7, 0.1, 0.2),
    settings={
        "reward_model": {"max_prompt_tokens": 256, "max_response_tokens": 128},
        "sft": {"max_prompt_tokens": 256, "max_response_tokens": 128, "max_groups": 256},
        "ppo": {"max_prompt_tokens": 128, "max_response_tokens": 48},
    },
)
"""The lap of `make demo DATA=...`: judgments that people gave."""

SMOKE = Plan(
    project="Smoke",
    prompts=24,
    per_prompt=3,
    max_tokens=12,
    overlap=2,
    next_prompts=2,
    settings={
        "reward_model": {"max_response_tokens": 16, "epochs": 1.0},
        "sft": {"max_response_tokens": 16},
        "ppo": {"max_response_tokens": 12, "updates": 2, "rollouts_per_update": 8},
    },
)
"""A lap in seconds, for a tiny model: proves the machinery, learns nothing."""
