"""The end of the lap: one table in the terminal, the same facts in `summary.json`."""

import json
from pathlib import Path
from typing import Any

Summary = dict[str, Any]  # Any: JSON


def write_summary(summary: Summary, path: Path) -> None:
    """Write the facts atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def table(summary: Summary) -> str:
    """The facts for a person at a terminal."""
    rows = [*_data_rows(summary), *_model_rows(summary), *_cost_rows(summary)]
    width = max(len(name) for name, _ in rows)
    rule = "-" * 88
    lines = [f"  {name.ljust(width)}  {fact}" for name, fact in rows]
    return "\n".join([rule, *lines, rule])


def _data_rows(summary: Summary) -> list[tuple[str, str]]:
    snapshot = summary["snapshot"]
    splits = ", ".join(f"{name} {count}" for name, count in snapshot["splits"].items())
    counts = ("prompts", "candidates", "comparisons", "judgments")
    return [
        *((name, f"{summary[name]:,}") for name in counts),
        ("judged by", summary["judged_by"]),
        ("Krippendorff's alpha", statistic(summary["alpha"])),
        ("snapshot", f"{snapshot['sha256'][:16]}..., {snapshot['rows']} prompts ({splits})"),
    ]


def _model_rows(summary: Summary) -> list[tuple[str, str]]:
    reward, sft = summary["reward_model"], summary["sft"]
    ceiling = reward["ceiling"]
    band = f", labelers' ceiling {ceiling[0]:.0%} to {ceiling[1]:.0%}" if ceiling else ""
    return [
        (
            "reward model",
            f"{percent(reward)} right on held-out pairs{band}, 'longer wins' {reward['longer_wins']:.1%}",
        ),
        ("SFT", f"held-out loss {sft['loss_before']:.3f} -> {sft['loss_after']:.3f}"),
        *_gain_rows(_ppo(summary["ppo"]), summary["ppo"]),
        *(_direct_rows("DPO", summary["dpo"]) if "dpo" in summary else ()),
        *(_gain_rows("GRPO", summary["grpo"]) if "grpo" in summary else ()),
    ]


def _ppo(one: dict[str, Any]) -> str:
    """Who reads PPO alone expects a value head."""
    return "PPO" if one["baseline"] == "value" else "PPO without a value head"


def _gain_rows(name: str, one: dict[str, Any]) -> list[tuple[str, str]]:
    """What an algorithm made of the reward, and how."""
    lengths = f"length {one['length_before']:.0f} -> {one['length_after']:.0f}"
    return [
        (
            f"{name}, held-out reward",
            f"{one['reward_before']:+.3f} -> {one['reward_after']:+.3f}, change {span(one['interval'])} (95 %)",
        ),
        (
            f"{name}, how",
            f"{one['updates']} updates, KL {one['kl']:.2f} a response, {lengths} tokens, {one['stop_reason']}",
        ),
    ]


def _direct_rows(name: str, one: dict[str, Any]) -> list[tuple[str, str]]:
    """How far an algorithm without a reward model sides with held-out pairs, and what moved."""
    moved = f"chosen {one['chosen_reward']:+.3f}, rejected {one['rejected_reward']:+.3f}"
    return [
        (
            f"{name}, held-out pairs",
            f"{percent(one)} gained as people chose, 'longer wins' {one['longer_wins']:.1%}",
        ),
        (f"{name}, how", f"{one['steps']} steps, implicit reward: {moved}"),
    ]


def _cost_rows(summary: Summary) -> list[tuple[str, str]]:
    seconds = summary["seconds"]
    each = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items() if name != "total")
    return [
        ("seconds", f"{seconds['total']:.0f} ({each})"),
        ("peak memory", f"{summary['peak_memory_mb']:,.0f} MiB"),
    ]


def statistic(one: dict[str, Any]) -> str:
    """``0.52 (0.44 to 0.59, n = 2,190)``, or the reason why there is no value."""
    if one.get("value") is None:
        return f"undefined: {one.get('reason') or 'no reason given'}"
    return f"{one['value']:.2f} ({span(one['interval'])}, n = {one['n']:,})"


def percent(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    return f"{one['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {one['n']:,})"


def span(interval: list[float] | None) -> str:
    return f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "no interval"
