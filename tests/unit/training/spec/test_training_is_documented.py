from dataclasses import fields
from pathlib import Path

import pytest

from training.spec.runs import SPECS
from training.trainers import dpo, grpo, kto, ppo, reward_model

TEXT = (Path(__file__).parents[4] / "docs" / "training.md").read_text(encoding="utf-8")
SETTINGS = {one.name for spec in SPECS.values() for one in fields(spec)}
STEPS = (dpo.Learned, grpo.Learned, kto.Learned, ppo.Learned, ppo.Judged, reward_model.Learned)
METRICS = {name for one in STEPS for name in one._fields} - {"minibatches"}


@pytest.mark.parametrize("name", sorted(SETTINGS | METRICS))
def test_every_setting_and_metric_is_explained(name):
    assert f"`{name}`" in TEXT
