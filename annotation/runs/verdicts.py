"""How many desirable and undesirable responses KTO finds in a snapshot, and what it leaves out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from annotation.datasets.models import DatasetSnapshot

ADVISED = (
    1.0,
    4 / 3,
)  # Ethayarajh et al. 2024: weight times number, of desirable over undesirable ones


class Verdicts(NamedTuple):
    """Of the training split; ``all_`` of the whole snapshot."""

    desirable: int
    undesirable: int
    undecided: int  # responses without a verdict beside others that have one
    prompts: int
    prompts_without: int
    all_desirable: int
    all_undesirable: int


def verdicts_in(snapshot: DatasetSnapshot) -> Verdicts | None:
    """As its manifest tells; None where that is older than these counts."""
    by_split: Mapping[str, Mapping[str, int]] = snapshot.manifest.get("verdicts_by_split", {})
    if "train" not in by_split:
        return None
    return Verdicts(
        **by_split["train"],
        all_desirable=sum(one["desirable"] for one in by_split.values()),
        all_undesirable=sum(one["undesirable"] for one in by_split.values()),
    )


def imbalance(found: Verdicts, spec: Mapping[str, Any]) -> str:  # Any: settings of many types
    """What to set where the weights do not make up for the numbers; empty where they do."""
    weights = [float(spec.get(f"{name}_weight", 1.0)) for name in ("desirable", "undesirable")]
    below = weights[1] * found.undesirable
    if not found.desirable or not below:
        return ""
    ratio, (low, high) = weights[0] * found.desirable / below, ADVISED
    if low <= ratio <= high:
        return ""
    least, most = (edge * below / found.desirable for edge in ADVISED)
    return (
        f"Weight times number of desirable over undesirable responses is {ratio:.2f}; the paper advises "
        f"{low:.0f} to {high:.2f}: a desirable_weight of {least:.2f} to {most:.2f} gives that."
    )
