import pytest

from training.spec.errors import SpecError
from training.spec.presets import PRESETS, preset_of
from training.spec.runs import SPECS, spec_from_dict

NEEDED = {"model": "m", "data": "d", "reward_model": "r"}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", ["sft", "reward_model", "ppo"])
def test_every_preset_makes_a_valid_spec(name, kind):
    known = SPECS[kind].__dataclass_fields__
    needed = {field: value for field, value in NEEDED.items() if field in known}
    assert spec_from_dict({"kind": kind, **needed, **preset_of(name, kind)})


def test_a_preset_is_a_copy_that_may_be_changed():
    preset_of("demo", "ppo")["updates"] = 999
    assert preset_of("demo", "ppo")["updates"] != 999


@pytest.mark.parametrize(("name", "kind"), [("fast", "ppo"), ("demo", "orpo")])
def test_an_unknown_preset_is_named(name, kind):
    with pytest.raises(SpecError, match=r"fast|orpo"):
        preset_of(name, kind)
