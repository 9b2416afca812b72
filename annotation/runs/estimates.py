"""What a run will cost before it starts: steps, hours, memory and money, from its settings, its records, earlier runs.

Memory is that of weights, gradients and optimizer, which can be counted; activations come on top. Time is the pace of
earlier runs of the same kind (`pacing`); without one there is none. Money is time by the price an hour of the site.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings

from annotation.datasets.models import DatasetSnapshot
from annotation.registry.models import ModelVersion
from annotation.runs.looking import HeldOut, answers, looked
from annotation.runs.pacing import Basis, seconds_of
from annotation.runs.selectors import computes_half
from annotation.runs.specs import needs_reward_model
from annotation.runs.usable import prompts_to_learn_from
from annotation.runs.verdicts import Verdicts, imbalance, verdicts_in
from annotation.runs.weights import FULL_BYTES, HALF_BYTES, Weights, weights_of
from training.spec.runs import SPECS

GRADIENT_BYTES, MOMENT_BYTES, MASTER_BYTES = 4, 8, 4  # of a trained weight: docs/sizing.md
TRIED_FIRST = "To know more, start it with max_steps or updates at a few steps, and multiply."


class Memory(NamedTuple):
    """Bytes at the least while it trains, and while the result is measured on held-out prompts."""

    training: int
    measuring: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Numbers of a run that is not queued yet; None where ``why`` says that they cannot be known."""

    rows: int  # prompts of the training split that it learns from
    steps: int
    parameters: int | None
    trained: int | None
    memory: Memory | None
    basis: Basis | None  # of the time
    verdicts: Verdicts | None  # that KTO learns from; None for other kinds, or an older snapshot
    why: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        return self.basis and self.basis.seconds

    @property
    def memory_bytes(self) -> int | None:
        """The most that it holds at once, without activations."""
        return max(self.memory) if self.memory else None


def estimate(
    *,
    kind: str,
    spec: Mapping[str, Any],  # Any: settings of many types, checked elsewhere
    snapshot: DatasetSnapshot,
    base_model: ModelVersion,
    reward_model: ModelVersion | None,
    held_out_reward_model: ModelVersion | None = None,
    sampler: ModelVersion | None = None,
) -> Estimate:
    """The estimate of a run with these settings."""
    verdicts = verdicts_in(snapshot) if kind == "kto" else None
    there = int(snapshot.splits.get("train", 0))
    usable = prompts_to_learn_from(snapshot, kind, spec)
    rows = rows_of(there, usable, limit=int(spec.get("max_groups", 0)))
    weights = weights_of(base_model)
    held_out = HeldOut.of(snapshot.splits)
    basis = time_of(kind, spec, rows=rows, held_out=held_out, base_model=base_model)
    halves = computes_half(base_model.project)
    kept = trained_model(weights, spec) if weights else None
    why = []
    if weights is None:
        why.append(f"The weights of {base_model} lie in no folder here, so memory is not known.")
    elif halves is None and weights.is_half and spec.get("precision", "auto") == "auto":
        why.append(
            "No run has told yet what the training machine computes in: auto is taken for float32 here; "
            "where it computes in bfloat16, weights take half of that."
        )
    if sampler is not None:
        why.append(
            f"{sampler} samples at its own pace; the time goes by earlier runs, wherever they sampled."
        )
    if not verdicts and (idle := there - usable):
        why.append(
            f"{idle:,} of the {there:,} prompts of the training split hold nothing that a run like this learns from."
        )
    if verdicts and (unequal := imbalance(verdicts, spec)):
        why.append(unequal)
    if basis is None:
        why.append(f"No {SPECS[kind].title} run has ended in this project to go by. {TRIED_FIRST}")
    return Estimate(
        rows=rows,
        steps=units_and_steps(spec, rows)[1],
        parameters=kept.count if kept else None,
        trained=kept.trained(spec) if kept else None,
        memory=memory(
            kind,
            weights,
            spec,
            scorers=[
                weights_of(one) if one else None for one in (reward_model, held_out_reward_model)
            ],
            computes_half=bool(halves),
        )
        if weights
        else None,
        basis=basis,
        verdicts=verdicts,
        why=tuple(why),
    )


def time_of(
    kind: str,
    spec: Mapping[str, Any],  # Any: as above
    *,
    rows: int,
    held_out: HeldOut,
    base_model: ModelVersion,
) -> Basis | None:
    """How long a run over so many prompts takes, by earlier ones; None where none of its kind has ended here."""
    units, steps = units_and_steps(spec, rows)
    looks = looked(spec, held_out, steps=int(spec.get("updates", steps)))
    return seconds_of(
        kind,
        spec,
        units=units + looks,
        answers=answers(spec, held_out),
        base_model=base_model,
        weights=weights_of(base_model),
    )


def rows_of(there: int, usable: int, *, limit: int) -> int:
    """Prompts that are learned from; of the first ``limit`` ones about as large a share is usable as of all."""
    used = min(there, limit) if limit else there
    return round(usable * used / there) if there else 0


def units_and_steps(spec: Mapping[str, Any], rows: int) -> tuple[float, int]:  # Any: as above
    """How many prompts are passed (or rollouts drawn), and in how many optimizer steps."""
    if "updates" in spec:
        updates = int(spec["updates"])
        units = updates * float(spec["rollouts_per_update"])
        return units, updates * int(spec["update_epochs"]) * int(spec["minibatches"])
    groups = max(1, int(spec["groups_per_step"]))
    steps = math.ceil(float(spec["epochs"]) * rows / groups)
    if limit := int(spec.get("max_steps", 0)):
        steps = min(steps, limit)
    return float(steps * groups), steps


def trained_model(base: Weights, spec: Mapping[str, Any]) -> Weights:  # Any: as above
    """What is left of the base to train: a reward model may keep its lowest layers alone."""
    return base.of_reward_model(int(spec["layers"])) if "layers" in spec else base


def memory(
    kind: str,
    base: Weights,
    spec: Mapping[str, Any],  # Any: as above
    *,
    scorers: Sequence[Weights | None],  # the reward model that teaches, the one that watches
    computes_half: bool,
) -> Memory:
    """Bytes of weights, gradients, masters and moments (docs/sizing.md).

    A bfloat16 weight that is trained has a float32 master; adapters are float32. What learns from rollouts without
    adapters keeps the weights it began with, as the reference; it is measured with one policy at a time beside the
    teacher, every other kind with one model at a time.
    """
    precision = str(spec.get("precision", "auto"))
    quantize, of_scorers = (str(spec.get(name, "none")) for name in ("quantize", "reward_quantize"))

    def size(one: Weights | None) -> int:
        return one.bytes_of_one(precision, computes_half=computes_half) if one else FULL_BYTES

    kept = trained_model(base, spec)
    judges = [one.held(size(one), of_scorers) if one else 0 for one in scorers]
    a_trained = GRADIENT_BYTES + MOMENT_BYTES
    if spec.get("lora_rank"):
        a_trained += FULL_BYTES
    else:
        a_trained += MASTER_BYTES if size(kept) == HALF_BYTES else 0
        a_trained += size(kept) if needs_reward_model(kind) else 0
    held = kept.held(size(kept), quantize)
    training = held + kept.trained(spec) * a_trained + sum(judges)
    return Memory(training, held + judges[0] if needs_reward_model(kind) else held)


def price_text(seconds: float | None) -> str:
    """`3.20 EUR`, at the site's price an hour; empty where it has none, or the time is not known."""
    price = settings.CONCORD_PRICE_AN_HOUR
    if price is None or seconds is None:
        return ""
    return f"{seconds / 3600 * price.amount:,.2f} {price.currency}"


def size_text(count: int | None) -> str:
    """`1.2 GB`; a dash where it is not known."""
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
