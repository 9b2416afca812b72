import re
from dataclasses import fields

import pytest

from tests.unit.training.documented import TEXT, departures, explained
from training.spec.metrics import METRICS as DESCRIBED
from training.spec.metrics import OF_KIND, Tells, metric
from training.spec.results import MEASURES, measure_title
from training.spec.runs import SPECS
from training.trainers import dpo, grpo, kto, ppo, reward_model, sft

SETTINGS = {one.name for spec in SPECS.values() for one in fields(spec)}
STEPS = (dpo.Learned, grpo.Learned, kto.Learned, ppo.Learned, ppo.Judged, reward_model.Learned)
TOLD = "".join(re.findall(r"^Result: .*?(?=^$|^\|)", TEXT, re.MULTILINE | re.DOTALL))
RESULTS = set(re.findall(r"`(\w+)`", TOLD)) - {"interval", "n", "_before", "_after"} - SETTINGS | {
    "beta"
}
METRICS = {name for one in STEPS for name in one._fields} - {"minibatches"}


@pytest.mark.parametrize("name", sorted(SETTINGS | METRICS | set(DESCRIBED)))
def test_every_setting_and_metric_is_explained(name):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("kind", SPECS)
def test_the_settings_of_every_kind_are_explained_where_one_reads_of_it(kind):
    assert {one.name for one in SPECS[kind].used_fields()} - explained(kind) == set()


@pytest.mark.parametrize("trainer", [sft, reward_model, dpo, kto, ppo, grpo])
def test_every_numbered_point_of_a_trainers_header_is_a_departure_in_the_text(trainer):
    points = re.findall(r"^(\d+)\. ", trainer.__doc__, re.MULTILINE)
    told = departures(trainer.__name__.rpartition(".")[2])
    assert points
    assert [number.strip() for number, *_ in told] == points
    assert [row for row in told if len(row) != 4 or not all(cell.strip() for cell in row)] == []


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_of_a_step_has_a_title_and_says_what_it_tells_of(name):
    assert DESCRIBED[name].title
    assert DESCRIBED[name].tells is not Tells.OTHER


def test_a_metric_is_drawn_beside_one_that_has_the_same_unit_and_tells_of_the_same():
    apart = [
        name
        for name, one in DESCRIBED.items()
        if one.beside and one[1:3] != DESCRIBED[one.beside][1:3]
    ]
    assert apart == []
    assert all(set(names) <= set(DESCRIBED) for names in OF_KIND.values())


def test_a_metric_that_nobody_described_reads_as_its_name():
    assert metric("sparse_reward", "ppo")[:3] == ("Sparse reward", "", Tells.OTHER)


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_every_measure_of_a_result_has_a_title(name):
    assert re.sub("_(before|after)$", "", name) in MEASURES


def test_a_measure_before_and_after_says_when():
    assert measure_title("length_before") == "Tokens an answer, before"
    assert measure_title("ece_after") == "Expected calibration error, with the temperature"
    assert measure_title("kl_penalty") == "KL penalty"
