"""Settings known to work, by kind of run: `demo` for two slow cores, `standard` for a real project.

A preset holds only what differs from the spec's defaults; `preset_of` gives a copy to add model,
data and the rest to. All look at held-out records or prompts while they train, but for PPO and GRPO of `demo`:
their eight updates draw hardly more responses than three looks would.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from training.spec.errors import SpecError

Preset = Mapping[str, Any]  # Any: each field has its own type

DEMO: Mapping[str, Preset] = MappingProxyType(
    {
        "sft": MappingProxyType(
            {
                "learning_rate": 5e-5,
                "trainable_layers": 4,
                "max_prompt_tokens": 128,
                "max_response_tokens": 64,
                "tokens_per_forward": 2048,
                "checkpoint_every": 10,
                "eval_every": 10,
            }
        ),
        "reward_model": MappingProxyType(
            {
                "learning_rate": 5e-5,
                "trainable_layers": 4,
                "max_prompt_tokens": 128,
                "max_response_tokens": 96,
                "tokens_per_forward": 2048,
                "checkpoint_every": 10,
                "eval_every": 10,
            }
        ),
        "dpo": MappingProxyType(
            {
                "learning_rate": 2e-5,
                "trainable_layers": 4,
                "max_prompt_tokens": 128,
                "max_response_tokens": 96,
                "tokens_per_forward": 2048,
                "checkpoint_every": 10,
                "eval_every": 10,
            }
        ),
        "kto": MappingProxyType(
            {
                "learning_rate": 2e-5,
                "trainable_layers": 4,
                "max_prompt_tokens": 128,
                "max_response_tokens": 96,
                "tokens_per_forward": 2048,
                "checkpoint_every": 10,
                "eval_every": 10,
            }
        ),
        "grpo": MappingProxyType(
            {
                "updates": 8,
                "groups_per_step": 8,
                "rollouts_per_update": 32,
                "update_epochs": 2,
                "minibatches": 4,
                "learning_rate": 3e-4,
                "trainable_layers": 2,
                "kl_coefficient": 0.02,
                "target_kl": 0.06,
                "missing_eos_penalty": 0.0,
                "tokens_per_forward": 2048,
                "max_prompt_tokens": 128,
                "max_response_tokens": 48,
                "eval_prompts": 40,
                "eval_samples": 2,
                "checkpoint_every": 2,
            }
        ),
        "ppo": MappingProxyType(
            {
                "updates": 8,
                "groups_per_step": 8,
                "rollouts_per_update": 32,
                "update_epochs": 2,
                "minibatches": 4,
                "learning_rate": 3e-4,
                "trainable_layers": 2,
                "kl_coefficient": 0.02,
                "target_kl": 0.06,
                "missing_eos_penalty": 0.0,
                "tokens_per_forward": 2048,
                "max_prompt_tokens": 128,
                "max_response_tokens": 48,
                "eval_prompts": 40,
                "eval_samples": 2,
                "checkpoint_every": 2,
            }
        ),
    }
)

# A look at no more than 256 prompts, forward alone, costs about as much as three steps.
LEARNING_FROM_RECORDS: dict[str, Any] = {"groups_per_step": 32, "eval_every": 25}  # Any: as above

STANDARD: Mapping[str, Preset] = MappingProxyType(
    {
        "sft": MappingProxyType(LEARNING_FROM_RECORDS | {"learning_rate": 1e-5}),
        "reward_model": MappingProxyType(LEARNING_FROM_RECORDS | {"learning_rate": 1e-5}),
        "dpo": MappingProxyType(LEARNING_FROM_RECORDS | {"learning_rate": 1e-6}),
        "kto": MappingProxyType(LEARNING_FROM_RECORDS | {"learning_rate": 1e-6}),
        "grpo": MappingProxyType(
            {
                "updates": 200,
                "groups_per_step": 32,
                "rollouts_per_update": 256,
                "update_epochs": 1,
                "minibatches": 4,
                "lora_rank": 16,
                "lora_alpha": 32.0,
                "learning_rate": 5e-5,
                "kl_coefficient": 0.04,
                "eval_prompts": 128,
                "eval_every": 20,
                "checkpoint_every": 10,
            }
        ),
        "ppo": MappingProxyType(
            {
                "updates": 200,
                "groups_per_step": 64,
                "rollouts_per_update": 128,
                "update_epochs": 4,
                "minibatches": 4,
                "lora_rank": 16,
                "lora_alpha": 32.0,
                "learning_rate": 5e-5,
                "eval_prompts": 128,
                "eval_every": 20,
                "checkpoint_every": 10,
            }
        ),
    }
)

PRESETS: Mapping[str, Mapping[str, Preset]] = MappingProxyType({"demo": DEMO, "standard": STANDARD})


def preset_of(name: str, kind: str) -> dict[str, Any]:
    """A copy of a preset's settings. Raises SpecError naming what there is."""
    if name not in PRESETS:
        raise SpecError(f"preset: {name!r} is not one of {', '.join(PRESETS)}.")
    if kind not in PRESETS[name]:
        raise SpecError(f"kind: preset {name!r} has none for {kind!r}.")
    return dict(PRESETS[name][kind])
