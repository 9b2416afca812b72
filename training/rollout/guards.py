"""What watches a run of PPO or GRPO: each guard warns, or stops the run with a sentence."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from training.spec.rollouts import RolloutSpec

ENTROPY_FLOOR = 0.3  # of the first update's entropy
LENGTH_FLOOR, LENGTH_CEILING = 0.5, 2.0  # of the first update's length
DISAGREEMENT_CEILING = 2.0  # of the first update's disagreement
DISTINCT_FLOOR = 0.5  # of the first update's share of distinct word pairs
SURE = 2.0  # standard errors


class Alarm(NamedTuple):
    """A guard's name, what it does (warn or stop), and its sentence."""

    name: str
    action: str
    message: str


class Vitals(NamedTuple):
    """The numbers the guards look at, of one update."""

    kl: float
    entropy: float
    length: float
    disagreement: float = 0.0  # of the reward model's heads; 0 for one
    distinct: float = 0.0  # share of distinct pairs of neighboring tokens
    reward: float = 0.0
    held_out_reward: float | None = (
        None  # of the reward model that does not teach; None without one
    )
    held_out_error: float = 0.0  # its standard error


def alarms(now: Vitals, first: Vitals, spec: RolloutSpec) -> list[Alarm]:
    """Everything that is wrong now, compared with the first update."""
    stopping = spec.stopping_guards()
    return [
        one._replace(action="stop") if one.name in stopping else one
        for one in _found(now, first, max_kl=spec.max_kl)
    ]


def _found(now: Vitals, first: Vitals, *, max_kl: float) -> list[Alarm]:
    found = []
    if max_kl and now.kl > max_kl:
        found.append(
            Alarm(
                "kl",
                "stop",
                f"The policy is {now.kl:.2f} nats a response from its reference, beyond max_kl "
                f"{max_kl:g}. Lower learning_rate or raise kl_coefficient.",
            )
        )
    if now.entropy < ENTROPY_FLOOR * first.entropy:
        found.append(
            Alarm(
                "entropy",
                "warn",
                f"Entropy fell from {first.entropy:.2f} to {now.entropy:.2f}: responses become "
                "alike. Raise kl_coefficient or entropy_weight.",
            )
        )
    if not LENGTH_FLOOR * first.length <= now.length <= LENGTH_CEILING * first.length:
        found.append(
            Alarm(
                "length",
                "warn",
                f"Responses went from {first.length:.0f} to {now.length:.0f} tokens: the reward "
                "may pay for length instead of content.",
            )
        )
    if now.disagreement > DISAGREEMENT_CEILING * first.disagreement:
        found.append(
            Alarm(
                "disagreement",
                "warn",
                f"The heads of the reward model disagree by {now.disagreement:.2f}, "
                f"{first.disagreement:.2f} at first: the policy writes what people never judged, and "
                "its reward means little there. Raise uncertainty_penalty or kl_coefficient, or "
                "have new responses judged.",
            )
        )
    return [*found, *_hacking(now, first)]


def _hacking(now: Vitals, first: Vitals) -> Iterator[Alarm]:
    """Signs that the reward is earned by something else than better responses."""
    if now.distinct < DISTINCT_FLOOR * first.distinct:
        yield Alarm(
            "distinct",
            "warn",
            f"Only {now.distinct:.0%} of neighboring tokens are distinct pairs, {first.distinct:.0%} at "
            "first: responses repeat themselves. Raise kl_coefficient, or have such responses judged.",
        )
    if now.held_out_reward is None or first.held_out_reward is None:
        return
    fall = first.held_out_reward - now.held_out_reward
    if now.reward > first.reward and fall > SURE * math.hypot(
        now.held_out_error, first.held_out_error
    ):
        yield Alarm(
            "held_out_reward",
            "warn",
            f"The reward rose from {first.reward:.2f} to {now.reward:.2f}, while the held-out reward "
            f"model's fell from {first.held_out_reward:.2f} to {now.held_out_reward:.2f}: the policy "
            "learns what pleases one reward model. Stop here, or raise kl_coefficient.",
        )
