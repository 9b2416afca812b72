from dataclasses import fields
from pathlib import Path

import pytest

from training.functional.preference import PairLoss
from training.spec.runs import SPECS
from training.trainers.ppo import Judged, Learned

TEXT = (Path(__file__).parents[4] / "docs" / "training.md").read_text(encoding="utf-8")
SETTINGS = {one.name for spec in SPECS.values() for one in fields(spec)}
METRICS = {*PairLoss._fields, *Learned._fields, *Judged._fields} - {"minibatches"}


@pytest.mark.parametrize("name", sorted(SETTINGS | METRICS))
def test_every_setting_and_metric_is_explained(name):
    assert f"`{name}`" in TEXT
