from training.rollout.guards import Vitals, alarms

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


def names(**change):
    return [(one.name, one.action) for one in alarms(FIRST._replace(**change), FIRST, max_kl=5.0)]


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
    assert alarms(alone, alone, max_kl=5.0) == []


def test_a_limit_of_zero_is_none():
    assert alarms(FIRST._replace(kl=1e6), FIRST, max_kl=0.0) == []


def test_the_message_names_the_numbers_and_what_to_do():
    [alarm] = alarms(FIRST._replace(kl=7.5), FIRST, max_kl=5.0)
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
