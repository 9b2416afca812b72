"""In how many prompts of a snapshot a run finds something to learn from."""

from collections.abc import Mapping
from typing import Any

from annotation.datasets.models import DatasetSnapshot
from annotation.runs.verdicts import verdicts_in


def prompts_to_learn_from(
    snapshot: DatasetSnapshot,
    kind: str,
    spec: Mapping[str, Any],  # Any: settings of many types
) -> int:
    """Prompts of the training split in which such a run finds something; all, where the manifest does not count."""
    there = int(snapshot.splits.get("train", 0))
    if kind == "kto":
        found = verdicts_in(snapshot)
        return found.prompts if found else there
    counts = snapshot.manifest.get("prompts_with_by_split", {}).get("train", {})
    return int(counts.get(needed(kind, spec), there))


def needed(kind: str, spec: Mapping[str, Any]) -> str:  # Any: as above
    """What a prompt must hold for a run of this kind, as the manifest counts it; empty where every prompt will do."""
    if kind == "sft":
        return "response" if spec.get("include_chosen", True) else "demonstration"
    if kind == "reward_model":
        return "decided_pair" if spec.get("ties", "drop") == "drop" else "pair"
    return "decided_pair" if kind == "dpo" else ""
