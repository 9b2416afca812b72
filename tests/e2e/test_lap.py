"""The whole loop on the embedded default, as `make demo` runs it, with a tiny model."""

import json

from deploy.demo.report import table

GAIN = {
    *("reward_before", "reward_after", "interval", "length_before", "length_after"),
    *("kl", "updates", "stop_reason"),
}
WANTED = {
    "alpha": {"value", "interval", "n", "reason"},
    "snapshot": {"sha256", "rows", "splits"},
    "reward_model": {"accuracy", "interval", "n", "ceiling", "longer_wins", "ece"},
    "sft": {"loss_before", "loss_after"},
    "ppo": GAIN | {"baseline"},
    "dpo": {
        *("accuracy", "interval", "n", "longer_wins", "chosen_reward", "rejected_reward"),
        "steps",
    },
    "grpo": GAIN,
}


def test_one_lap_leaves_every_fact_in_its_summary(site):
    summary = json.loads((site.var / "demo" / "summary.json").read_text())
    assert {name: set(summary[name]) for name in WANTED} == WANTED
    assert min(summary[name] for name in ("prompts", "candidates", "comparisons", "judgments")) > 0
    assert summary["ppo"]["updates"] == summary["grpo"]["updates"] == 2
    assert summary["peak_memory_mb"] > 0


def test_the_terminal_shows_the_same_table_and_the_sign_ins_once(site):
    said = site.output.read_text()
    assert "Krippendorff's alpha" in said
    assert "DPO, held-out pairs" in said
    assert "GRPO, held-out reward" in said
    assert set(site.passwords) == {"demo-labeler", "demo-admin", "demo-engineer"}


def test_the_table_says_where_ppo_learned_no_value(site):
    summary = json.loads((site.var / "demo" / "summary.json").read_text())
    assert "PPO, held-out reward" in table(summary)
    summary["ppo"]["baseline"] = "leave_one_out"
    assert "PPO without a value head, held-out reward" in table(summary)
