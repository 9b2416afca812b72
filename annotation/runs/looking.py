"""How much of held-out records a run looks at, while it trains and when it is measured: what its time hangs on too."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from training.spec.base import LOOKED_AT

FORWARD_SHARE = 1 / 3  # of a prompt's computation: a look passes forward alone
POLICIES = 2  # that answer when the result is measured: the one it began with, and the trained one


class HeldOut(NamedTuple):
    """Prompts of the splits that nothing is learned from."""

    validation: int
    test: int

    @classmethod
    def of(cls, splits: Mapping[str, Any]) -> "HeldOut":  # Any: JSON
        return cls(*(int(splits.get(name, 0)) for name in cls._fields))


def looked(spec: Mapping[str, Any], held_out: HeldOut, *, steps: int) -> float:  # Any: settings
    """What looks come to during so many steps (updates), as prompts passed (rollouts drawn).

    An answer counts as a rollout, which it is at most: it is sampled and scored, and not learned from.
    """
    every = int(spec.get("eval_every", 0))
    if not every:
        return 0.0
    if "updates" in spec:
        return float((steps // every + (every > 1)) * answers_of_one(spec, held_out))
    limit = min(int(spec.get("max_groups", 0)) or LOOKED_AT, LOOKED_AT)
    return steps // every * min(held_out.validation, limit) * FORWARD_SHARE


def answers(spec: Mapping[str, Any], held_out: HeldOut) -> int:  # Any: as above
    """Answers to held-out prompts when the result is measured, of both policies."""
    return POLICIES * answers_of_one(spec, held_out)


def answers_of_one(spec: Mapping[str, Any], held_out: HeldOut) -> int:  # Any: as above
    """Those of one policy."""
    prompts = min(int(spec.get("eval_prompts", 0)), held_out.test + held_out.validation)
    return prompts * int(spec.get("eval_samples", 1))
