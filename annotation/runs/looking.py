"""How much of held-out records a run looks at, while it trains and when it is measured: what its time hangs on too."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from training.spec.base import looked_at

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
    """What the looks of a whole run of so many steps (updates) come to, as prompts passed (rollouts drawn)."""
    first = "updates" in spec and int(spec.get("eval_every", 0)) > 1
    return (looks_between(spec, 0, steps) + first) * a_look(spec, held_out)


def looks_between(spec: Mapping[str, Any], first: int, last: int) -> int:  # Any: as above
    """Looks after step (update) ``first`` until ``last``; a step tells its metrics after its look."""
    every = int(spec.get("eval_every", 0))
    return last // every - first // every if every else 0


def a_look(spec: Mapping[str, Any], held_out: HeldOut) -> float:  # Any: as above
    """What one look comes to, as prompts passed (rollouts drawn).

    An answer counts as a rollout, which it is at most: it is sampled and scored, and not learned from.
    """
    if "updates" in spec:
        return float(answers_of_one(spec, held_out))
    limit = looked_at(int(spec.get("max_groups", 0)), most_measured(spec))
    return min(held_out.validation, limit) * FORWARD_SHARE


def most_measured(spec: Mapping[str, Any]) -> int:  # Any: as above
    """As of `RunSpec`."""
    return int(spec.get("max_steps", 0)) * int(spec.get("groups_per_step", 0))


def answers(spec: Mapping[str, Any], held_out: HeldOut) -> int:  # Any: as above
    """Answers to held-out prompts when the result is measured, of both policies."""
    return POLICIES * answers_of_one(spec, held_out)


def answers_of_one(spec: Mapping[str, Any], held_out: HeldOut) -> int:  # Any: as above
    """Those of one policy."""
    there = held_out.test + held_out.validation
    limit = most_measured(spec) or there
    prompts = min(int(spec.get("eval_prompts", 0)), there, limit)
    return prompts * int(spec.get("eval_samples", 1))
