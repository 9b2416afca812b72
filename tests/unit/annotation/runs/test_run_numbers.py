"""Numbers of a run as people read them."""

import re
from pathlib import Path

import pytest

from annotation.registry.results import change_rows, number_text, result_rows
from annotation.runs.charts import charts_of, titled
from annotation.runs.reading import metric_rows, pace_text, sample_of
from annotation.runs.records import KNOWN, OF_READING
from annotation.runs.selectors import Curves, Pace
from training.spec.durations import duration_text
from training.spec.metrics import Tells


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        (1.75e-5, "1.75e-05"),
        (-0.5, "−0.5"),
        (-12345, "−12,345"),
        (-1.75e-5, "−1.75e-05"),
        ("round-1", "round-1"),
    ],
)
def test_a_number_shows_the_digits_that_matter(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (180, "3 min"), (7500, "2 h 5 min"), (89.6, "90 s")]
)
def test_a_duration_is_as_exact_as_it_is_useful(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("pace", "text"),
    [
        (Pace(None, None), ""),
        (Pace(2.5, 200.0), "2.5 steps/s, about 3 min left"),
        (Pace(0.05, 60.0), "20 s a step, about 60 s left"),
    ],
)
def test_a_pace_says_the_rate_and_what_is_left(pace, text):
    assert pace_text(pace, "steps") == text


def test_a_statistic_is_one_line_with_its_interval_and_comes_first():
    metrics = {
        "steps": 60,
        "accuracy": {"value": 0.7, "interval": [0.6, 0.8], "n": 40, "reason": None},
        "records": {"dropped": 3},
    }
    rows = [tuple(row) for row in result_rows(metrics)]
    assert rows == [
        ("Sides with people on held-out pairs", "0.7", "0.6 to 0.8", "40", ""),
        ("Optimizer steps", "60", "", "", ""),
        ("Records: Dropped", "3", "", "", ""),
    ]


def test_the_gain_of_ppo_is_one_line_with_its_interval():
    metrics = {"reward_gain": 0.5, "interval": [0.1, 0.9], "n": 48, "kl": 2.0}
    rows = [tuple(row) for row in result_rows(metrics)]
    assert rows == [
        ("Score gained on held-out prompts", "0.5", "0.1 to 0.9", "48", ""),
        ("KL to the start (an estimate), nats a response", "2", "", "", ""),
    ]


def test_what_a_run_changed_is_a_table_of_its_own():
    metrics = {"reward_before": -0.5, "reward_after": 0.25, "length_before": 40, "kl": 2.0}
    assert [tuple(row) for row in change_rows(metrics)] == [
        ("Mean score of held-out answers", "−0.5", "0.25", "+0.75")
    ]
    fallen = {"reward_before": 0.25, "reward_after": -0.5}
    assert change_rows(fallen)[0].change == "−0.75"
    assert [row.name for row in result_rows(metrics)] == [
        "KL to the start (an estimate), nats a response",
        "Tokens an answer, before",
    ]


def test_measures_stand_in_one_order_whatever_that_of_the_database():
    """It keeps the keys of an object by their length."""
    metrics = {
        "kl": 2.0,
        "loss_after": {"value": 2.0, "interval": [1.9, 2.1], "n": 40},
        "longer_wins": {"value": 0.5, "interval": [0.4, 0.6], "n": 40},
        "loss_before": {"value": 2.5, "interval": [2.4, 2.6], "n": 40},
    }
    assert [row.name for row in result_rows(metrics)] == [
        "The longer wins",
        "Held-out loss, nats a token, before",
        "Held-out loss, nats a token, after",
        "KL to the start (an estimate), nats a response",
    ]


def test_what_the_temperature_changed_is_no_change_of_the_training():
    metrics = {"ece_before": 0.2, "ece_after": 0.1, "temperature_reason": None}
    assert change_rows(metrics) == []
    assert [(row.name, row.value) for row in result_rows(metrics)] == [
        ("Expected calibration error, as trained", "0.2"),
        ("Expected calibration error, with the temperature", "0.1"),
    ]


def test_a_sample_shows_its_texts_and_its_numbers():
    sample = sample_of({"prompt": "Why?", "response": "So.", "reward": 0.123456})
    assert sample == ("Why?", "So.", [("reward", "0.1235")])


def test_a_statistic_without_a_value_gives_its_reason():
    row = result_rows({"ceiling": {"value": None, "interval": None, "n": 0, "reason": "one vote"}})
    assert (row[0].value, row[0].reason) == ("–", "one vote")


def test_the_table_of_a_curve_skips_gaps_and_leaves_out_empty_metrics():
    curves = Curves([1, 2, 3], {"loss": [None, 2.0, 0.5], "kl": [None, None, None]})
    assert [tuple(row) for row in metric_rows(curves, "sft")] == [
        ("Loss", "nats a token", "loss", "2", "0.5", "0.5", "2")
    ]


def test_what_is_measured_on_held_out_records_is_drawn_with_what_is_trained():
    curves = Curves([1, 2], {"loss": [2.0, 1.0], "held_out_loss": [None, 1.5], "kl": [0.0, 0.1]})
    loss, kl = charts_of(curves, "reward_model")
    assert (loss.title, loss.unit, loss.tells) == ("Loss", "nats", Tells.PROGRESS)
    assert loss.lines == [("loss", "training"), ("held_out_loss", "held out")]
    assert titled(kl) == "KL to the reference (nats a response)"


def test_what_is_drawn_beside_another_stands_alone_where_that_one_is_missing():
    (alone,) = charts_of(Curves([1], {"held_out_loss": [1.0]}), "sft")
    assert titled(alone) == "Loss on held-out records (nats a token)"


@pytest.mark.parametrize(
    ("values", "answer"),
    [([0.0, 0.0], True), ([0.0, None], True), ([0.0, -0.5], False), ([None, None], False)],
)
def test_a_chart_of_zeros_alone_is_told_apart_from_one_without_numbers(values, answer):
    (chart,) = charts_of(Curves([1, 2], {"disagreement": values}), "ppo")
    assert chart.is_zero is answer


def test_a_list_of_named_statistics_is_one_line_each():
    heads = [{"name": "concise", "accuracy": {"value": 0.5, "n": 8}, "trained_on": 24}]
    assert [(row.name, row.value, row.n) for row in result_rows({"criteria": heads})] == [
        ("Head of concise: Sides with people on held-out pairs", "0.5", "8"),
        ("Head of concise: Learned from so many verdicts", "24", ""),
    ]


def test_all_that_trainers_count_of_their_records_is_told_in_words():
    sources = (Path(__file__).parents[4] / "training").rglob("*.py")
    counted = {
        name
        for source in sources
        for name in re.findall(r'tally\.add\(\s*"(\w+)"', source.read_text(encoding="utf-8"))
    }
    assert "pairs_used" in counted
    assert counted - KNOWN - OF_READING == set()
