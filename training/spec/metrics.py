"""What the numbers of a run's steps are: title, unit, and what they tell of. docs/training.md says how to read them.

The last two are no run's own: the site takes them from the times at which a run told of its steps. `peak_memory`
every run tells, whatever its kind.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from training.spec.naming import title_of


class Tells(StrEnum):
    """What a number is of, in the order in which people look."""

    PROGRESS = "Progress"
    REWARD = "Reward"
    GUARDED = "What guards watch"
    POLICY = "Policy"
    VALUE = "Value"
    OPTIMIZER = "Optimizer"
    SPEED = "Speed and memory"
    OTHER = "Other"


class Metric(NamedTuple):
    """One number of a step. ``beside`` names the number in whose chart it is drawn, ``line`` what it is there."""

    title: str
    unit: str  # empty: a number without one
    tells: Tells
    beside: str = ""
    line: str = ""


NATS, NATS_A_TOKEN, NATS_A_RESPONSE = "nats", "nats a token", "nats a response"
SCORE, SHARE, TOKENS, IMPLICIT = "score", "share", "tokens", "beta × nats"

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "loss": Metric("Loss", NATS, Tells.PROGRESS, line="training"),
        "held_out_loss": Metric(
            "Loss on held-out records", NATS, Tells.PROGRESS, beside="loss", line="held out"
        ),
        "nll": Metric("Bradley-Terry loss", "nats a pair", Tells.PROGRESS),
        "accuracy": Metric("Pairs in the labelers' order", SHARE, Tells.PROGRESS, line="training"),
        "held_out_accuracy": Metric(
            "Held-out pairs in the labelers' order",
            SHARE,
            Tells.PROGRESS,
            beside="accuracy",
            line="held out",
        ),
        "tokens": Metric("Response tokens in the step", TOKENS, Tells.PROGRESS),
        "reward": Metric("Reward of the responses, mean", SCORE, Tells.REWARD, line="training"),
        "eval_reward": Metric(
            "Reward on held-out prompts, mean",
            SCORE,
            Tells.REWARD,
            beside="reward",
            line="held out",
        ),
        "reward_deviation": Metric("Reward, deviation", SCORE, Tells.REWARD),
        "held_out_reward": Metric("Held-out reward model", SCORE, Tells.REWARD),
        "held_out_error": Metric("Held-out reward, standard error", SCORE, Tells.REWARD),
        "difference": Metric("Chosen over rejected, mean", SCORE, Tells.REWARD),
        "tie_parameter": Metric("Tie parameter", "", Tells.REWARD),
        "chosen_reward": Metric("Implicit reward, mean", IMPLICIT, Tells.REWARD, line="chosen"),
        "rejected_reward": Metric(
            "Implicit reward of rejected, mean",
            IMPLICIT,
            Tells.REWARD,
            beside="chosen_reward",
            line="rejected",
        ),
        "good_reward": Metric("Implicit reward, mean", IMPLICIT, Tells.REWARD, line="good"),
        "bad_reward": Metric(
            "Implicit reward of bad, mean", IMPLICIT, Tells.REWARD, beside="good_reward", line="bad"
        ),
        "reference_point": Metric("Reference point z", NATS_A_RESPONSE, Tells.REWARD),
        "kl": Metric("KL to the reference", NATS_A_RESPONSE, Tells.GUARDED),
        "entropy": Metric("Entropy", NATS_A_TOKEN, Tells.GUARDED),
        "length": Metric("Length of the responses, mean", TOKENS, Tells.GUARDED),
        "distinct": Metric("Distinct pairs of tokens", SHARE, Tells.GUARDED),
        "disagreement": Metric("Disagreement of the heads", SCORE, Tells.GUARDED),
        "log_ratio": Metric("Distance from the start", NATS_A_RESPONSE, Tells.GUARDED),
        "scored_in_part": Metric("Responses scored in part", SHARE, Tells.REWARD),
        "eos_share": Metric("Responses that ended", SHARE, Tells.POLICY),
        "policy_loss": Metric("Policy loss", "", Tells.POLICY),
        "approximate_kl": Metric("KL to the sampling policy", NATS_A_TOKEN, Tells.POLICY),
        "ratio": Metric("New over old probability, mean", "", Tells.POLICY),
        "clip_fraction": Metric("Tokens clipped", SHARE, Tells.POLICY),
        "reference_kl": Metric("KL to the reference in the loss", NATS_A_TOKEN, Tells.POLICY),
        "beta": Metric("Price of KL", "", Tells.POLICY),
        "reference_gap": Metric("Largest gap to the reference", NATS_A_TOKEN, Tells.POLICY),
        "sampler_gap": Metric("Mean gap to the sampler", NATS_A_TOKEN, Tells.POLICY),
        "ptx_loss": Metric("Loss of what is imitated", NATS_A_TOKEN, Tells.POLICY),
        "value_loss": Metric("Value loss", "", Tells.VALUE),
        "explained_variance": Metric("Explained variance of returns", SHARE, Tells.VALUE),
        "value_clip_fraction": Metric("Values clipped", SHARE, Tells.VALUE),
        "advantage_deviation": Metric("Advantages before whitening, deviation", "", Tells.VALUE),
        "learning_rate": Metric("Learning rate", "", Tells.OPTIMIZER),
        "grad_norm": Metric("Gradient norm before clipping", "", Tells.OPTIMIZER),
        "optimizer_steps": Metric("Optimizer steps in the update", "steps", Tells.OPTIMIZER),
        "peak_memory": Metric("Memory, the most so far", "MB", Tells.SPEED),
        "seconds_a_step": Metric("Time a step", "seconds", Tells.SPEED),
        "tokens_a_second": Metric("Response tokens", "tokens/s", Tells.SPEED),
    }
)
LOSSES = ("loss", "held_out_loss")
# Where a kind of run means something else by it.
OF_KIND: Mapping[str, Mapping[str, Metric]] = MappingProxyType(
    {
        "sft": {name: METRICS[name]._replace(unit=NATS_A_TOKEN) for name in LOSSES},
        "reward_model": {
            "disagreement": METRICS["disagreement"]._replace(tells=Tells.REWARD),
        },
        "kto": {name: METRICS[name]._replace(unit="") for name in LOSSES},
        "ppo": {"seconds_a_step": METRICS["seconds_a_step"]._replace(title="Time an update")},
        "grpo": {"seconds_a_step": METRICS["seconds_a_step"]._replace(title="Time an update")},
    }
)


def metric(name: str, kind: str) -> Metric:
    """What a number of a run of this kind is; of one that is not known, its name in words."""
    of_kind = OF_KIND.get(kind, {})
    unknown = Metric(title_of(name), "", Tells.OTHER)
    return of_kind.get(name) or METRICS.get(name) or unknown
