from dataclasses import replace

import pytest

from training.rollout.guards import Vitals, alarms
from training.spec.errors import SpecError
from training.spec.rollouts import PpoSpec
from training.spec.runs import spec_from_dict, spec_to_dict

FIRST = Vitals(
    kl=0.0,
    entropy=2.0,
    length=40.0,
    disagreement=0.5,
    distinct=0.8,
    reward=1.0,
    held_out_reward=1.0,
    held_out_error=0.3,
)


SPEC = PpoSpec(model="m", data="d", reward_model="r", max_kl=5.0)


def names(spec=SPEC, **change):
    return [(one.name, one.action) for one in alarms(FIRST._replace(**change), FIRST, spec)]


def test_a_healthy_run_raises_no_alarm():
    assert names(kl=4.9, entropy=0.7, length=70.0, disagreement=0.9) == []


def test_kl_beyond_the_limit_stops():
    assert names(kl=5.1) == [("kl", "stop")]


def test_collapsed_entropy_warns():
    assert names(entropy=0.5) == [("entropy", "warn")]


def test_length_drift_warns_both_ways():
    assert names(length=19.0) == names(length=81.0) == [("length", "warn")]


def test_growing_disagreement_of_the_heads_warns():
    assert names(disagreement=1.1) == [("disagreement", "warn")]


def test_one_head_never_disagrees():
    alone = FIRST._replace(disagreement=0.0)
    assert alarms(alone, alone, SPEC) == []


def test_a_limit_of_zero_is_none():
    assert names(replace(SPEC, max_kl=0.0), kl=1e6) == []


def test_the_message_names_the_numbers_and_what_to_do():
    [alarm] = alarms(FIRST._replace(kl=7.5), FIRST, SPEC)
    assert "7.50 nats" in alarm.message
    assert "kl_coefficient" in alarm.message


def test_responses_that_repeat_themselves_warn():
    assert names(distinct=0.41) == []
    assert names(distinct=0.39) == [("distinct", "warn")]


def test_a_reward_that_rises_alone_warns_beyond_noise():
    """Both errors are 0.3: two standard errors of the difference are 0.85."""
    assert names(reward=2.0, held_out_reward=0.2) == []
    assert names(reward=2.0, held_out_reward=0.1) == [("held_out_reward", "warn")]
    assert names(reward=0.9, held_out_reward=0.1) == []
    assert names(reward=2.0, held_out_reward=None) == []


FORCED = {
    "entropy": {"entropy": 0.5},
    "length": {"length": 81.0},
    "disagreement": {"disagreement": 1.1},
    "distinct": {"distinct": 0.39},
    "held_out_reward": {"reward": 2.0, "held_out_reward": 0.1},
}


@pytest.mark.parametrize("name", FORCED)
def test_a_guard_named_in_stop_on_stops_and_the_others_go_on_warning(name):
    everything = {field: value for change in FORCED.values() for field, value in change.items()}
    assert names(replace(SPEC, stop_on=name), **FORCED[name]) == [(name, "stop")]
    actions = dict(names(replace(SPEC, stop_on=name), **everything))
    assert actions == dict.fromkeys(FORCED, "warn") | {name: "stop"}


def test_a_guard_that_is_not_known_is_refused_with_its_name():
    with pytest.raises(SpecError, match="stop_on: 'lenght' is not one of entropy, length"):
        spec_from_dict(spec_to_dict(replace(SPEC, stop_on="length, lenght")))


def test_a_guard_that_has_nothing_to_look_at_cannot_stop():
    with pytest.raises(SpecError, match="stop_on: held_out_reward looks at the scores"):
        replace(SPEC, stop_on="length, held_out_reward").check()
    replace(SPEC, stop_on="length, held_out_reward", held_out_reward_model="w").check()
