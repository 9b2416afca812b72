"""What must go together in a spec is refused when the spec is read, at the field to change."""

import pytest

from training.spec.errors import SpecError
from training.spec.runs import spec_from_dict, without_unused

PPO = {"kind": "ppo", "model": "m", "data": "d", "reward_model": "r"}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rollouts_per_update": 10, "groups_per_step": 4}, "^rollouts_per_update: 10 .* the 4 "),
        ({"rollouts_per_update": 4, "groups_per_step": 8}, "^rollouts_per_update: 4 .* the 8 "),
        ({"minibatches": 5, "groups_per_step": 4}, "^minibatches: 5 is more than the 4 "),
    ],
)
def test_sizes_of_an_update_that_do_not_go_up_are_refused(settings, sentence):
    with pytest.raises(SpecError, match=sentence):
        spec_from_dict(PPO | settings)


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
@pytest.mark.parametrize("field", ["epochs", "max_steps"])
def test_passes_over_rows_are_refused_where_updates_are_counted(kind, field):
    with pytest.raises(SpecError, match=f"^{field}: .* set updates"):
        spec_from_dict(PPO | {"kind": kind, field: 3})


@pytest.mark.parametrize("kind", ["dpo", "kto", "ppo", "grpo"])
def test_dropout_is_refused_where_a_ratio_is_taken(kind):
    with pytest.raises(
        SpecError, match=r"^lora_dropout: .* drops nothing out, .*\. Leave lora_dropout at 0\.0\.$"
    ):
        spec_from_dict(
            {
                name: one
                for name, one in PPO.items()
                if kind in ("ppo", "grpo") or name in ("model", "data")
            }
            | {"kind": kind, "lora_rank": 2, "lora_dropout": 0.1}
        )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kind": "kto", "desirable_weight": 0, "undesirable_weight": 0}, "^desirable_weight: .*nothing is learned"),
        ({"kind": "sft", "lora_rank": 2, "lora_alpha": 0}, r"^lora_alpha: 0\.0 is outside 0\.001"),
    ],
)  # fmt: skip
def test_settings_with_which_nothing_is_trained_are_refused(settings, sentence):
    with pytest.raises(SpecError, match=sentence):
        spec_from_dict({"model": "m", "data": "d"} | settings)


def test_a_number_beyond_all_numbers_is_refused():
    with pytest.raises(SpecError, match=r"^epochs: A number of 401 digits is too large"):
        spec_from_dict({"kind": "sft", "model": "m", "data": "d", "epochs": 10**400})


def test_a_kind_that_is_no_text_is_refused():
    row = {"kind": ["sft"], "model": "m", "data": "d"}
    assert without_unused(row) == row
    with pytest.raises(SpecError, match=r"^kind: \['sft'\] is not one of"):
        spec_from_dict(row)


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
def test_no_held_out_prompts_can_be_looked_at_where_none_are_taken(kind):
    with pytest.raises(SpecError, match=r"^eval_every: .* set eval_prompts above 0"):
        spec_from_dict(PPO | {"kind": kind, "eval_every": 5, "eval_prompts": 0})


def test_a_stored_spec_loses_only_what_its_kind_does_not_use():
    assert without_unused(PPO | {"epochs": 2.0, "max_steps": 3, "speed": 9}) == PPO | {"speed": 9}
    assert without_unused({"kind": "sft", "epochs": 2.0}) == {"kind": "sft", "epochs": 2.0}
    assert without_unused({"kind": "magic", "epochs": 2.0}) == {"kind": "magic", "epochs": 2.0}


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
def test_a_frozen_reward_model_is_held_in_four_bits_without_adapters(kind):
    spec = spec_from_dict(PPO | {"kind": kind, "reward_quantize": "nf4"})
    assert (spec.quantize, spec.reward_quantize, spec.has_four_bits) == ("none", "nf4", True)
    assert not spec_from_dict(PPO | {"kind": kind}).has_four_bits
    with pytest.raises(SpecError, match=r"^reward_quantize: 'int8' is not one of none, nf4"):
        spec_from_dict(PPO | {"kind": kind, "reward_quantize": "int8"})


def test_what_scores_nothing_takes_no_four_bits_for_it():
    with pytest.raises(
        SpecError, match=r"^reward_quantize: Supervised fine-tuning has no such field"
    ):
        spec_from_dict({"kind": "sft", "model": "m", "data": "d", "reward_quantize": "nf4"})


def test_sizes_of_an_update_that_go_up_are_taken():
    """32 rollouts over 8 prompts: 4 responses each."""
    spec = spec_from_dict(PPO | {"rollouts_per_update": 32, "groups_per_step": 8})
    assert spec.samples_per_prompt == 4


def test_a_ranking_takes_no_margin():
    spec = {"kind": "reward_model", "model": "m", "data": "d", "objective": "plackett_luce"}
    assert spec_from_dict(spec).objective == "plackett_luce"
    with pytest.raises(SpecError, match=r"^use_margin"):
        spec_from_dict(spec | {"use_margin": True})


ROLLOUTS = {"kind": "ppo", "model": "m", "data": "d", "reward_model": "r"}


def test_a_server_that_samples_at_another_temperature_has_nothing_to_weigh_by():
    server = ROLLOUTS | {"sampler_url": "http://s/v1", "lora_rank": 2, "importance_cap": 2.0}
    assert spec_from_dict(server | {"temperature": 1.0}).importance_cap == 2
    with pytest.raises(SpecError, match=r"^importance_cap: 2 .* temperature, 0.9: set temperature"):
        spec_from_dict(server)
    spec_from_dict(ROLLOUTS | {"importance_cap": 2.0})  # this process tells what it drew from


def test_no_value_begins_where_none_is_learned():
    spec = ROLLOUTS | {"value_start": "policy"}
    assert spec_from_dict(spec).value_start == "policy"
    with pytest.raises(SpecError, match=r"^value_start: policy is where a value begins"):
        spec_from_dict(spec | {"baseline": "leave_one_out"})
