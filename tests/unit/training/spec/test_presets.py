import pytest

from training.spec.errors import SpecError
from training.spec.presets import PRESETS, preset_of
from training.spec.runs import SPECS, spec_from_dict

NEEDED = {"model": "m", "data": "d", "reward_model": "r"}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", SPECS)
def test_every_preset_makes_a_valid_spec(name, kind):
    known = SPECS[kind].__dataclass_fields__
    needed = {field: value for field, value in NEEDED.items() if field in known}
    assert spec_from_dict({"kind": kind, **needed, **preset_of(name, kind)})


@pytest.mark.parametrize("kind", SPECS)
def test_settings_for_a_real_project_look_at_what_is_held_out(kind):
    assert preset_of("standard", kind)["eval_every"] > 0


def test_a_look_reads_no_more_than_256_prompts_and_none_that_max_groups_leaves_out():
    spec, few = (
        spec_from_dict({"kind": "sft", "model": "m", "data": "d", "max_groups": most})
        for most in (0, 40)
    )
    assert [spec.most_groups(split) for split in ("train", "validation")] == [0, 256]
    assert [few.most_groups(split) for split in ("train", "validation")] == [40, 40]


def test_a_run_of_few_steps_looks_at_and_measures_no_more_prompts_than_they_take():
    spec = spec_from_dict(
        {"kind": "sft", "model": "m", "data": "d", "max_steps": 4, "groups_per_step": 8}
    )
    assert (spec.most_measured, spec.most_groups("validation")) == (32, 32)


def test_a_preset_is_a_copy_that_may_be_changed():
    preset_of("demo", "ppo")["updates"] = 999
    assert preset_of("demo", "ppo")["updates"] != 999


@pytest.mark.parametrize(("name", "kind"), [("fast", "ppo"), ("demo", "orpo")])
def test_an_unknown_preset_is_named(name, kind):
    with pytest.raises(SpecError, match=r"fast|orpo"):
        preset_of(name, kind)
