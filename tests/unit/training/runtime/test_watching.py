"""A loss that goes up for good, and a policy far from its start, are told once; they stop a run that says so."""

import json
from pathlib import Path

import pytest

from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.runtime.watching import Watch
from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.preferences import DpoSpec, SftSpec
from training.spec.rollouts import GrpoSpec, PpoSpec
from training.spec.runs import spec_from_dict

SPEC = SftSpec(model="m", data="d")
DIRECT = DpoSpec(model="m", data="d", max_log_ratio=50.0)


def watched(folder: Path, reporter: Reporter, spec: RunSpec) -> tuple[Run, Watch]:
    run = Run(folder=folder, reporter=reporter, stop=StopRequest())
    return run, Watch(run, spec)


def guards(
    folder: Path, losses: list[float], name: str = "loss", spec: RunSpec = SPEC
) -> list[dict[str, object]]:
    """What the watch said of a run with these losses."""
    with Reporter(folder) as reporter:
        _, watch = watched(folder, reporter, spec)
        reporter.listen(watch.hear)
        for step, loss in enumerate(losses, start=1):
            reporter.metrics({name: loss}, step=step)
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [one for one in lines if one["kind"] == "guard"]


def go_on(folder: Path, losses: list[float], *, after: int) -> None:
    """Steps of a resumed run behind the step ``after``."""
    with Reporter(folder) as reporter:
        _, watch = watched(folder, reporter, SPEC)
        watch.recall(folder / "events.jsonl", last_step=after)
        reporter.listen(watch.hear)
        for step, loss in enumerate(losses, start=after + 1):
            reporter.metrics({"loss": loss}, step=step)


def test_a_resumed_run_is_compared_with_the_first_steps_of_the_run(tmp_path: Path) -> None:
    """Stopped after step 47, gone on from 40: 20 steps at 0.7, so that it is told at the 9th at 1.5 again."""
    assert guards(tmp_path, [0.7] * 40 + [1.5] * 7) == []
    go_on(tmp_path, [1.5] * 20, after=40)
    (told,) = guards(tmp_path, [])
    assert (told["step"], told["data"]["name"]) == (49, "divergence")


def test_what_was_told_before_the_stop_is_not_told_again(tmp_path: Path) -> None:
    assert len(guards(tmp_path, [0.7] * 40 + [1.5] * 20)) == 1
    go_on(tmp_path, [1.5] * 40, after=60)
    assert len(guards(tmp_path, [])) == 1


def test_a_loss_that_rises_for_good_is_told_once_with_its_numbers(tmp_path: Path) -> None:
    """20 steps at 0.7; of the newest 20, n at 1.5 make (0.7 (20 - n) + 1.5 n) / 20 > 1.05 from n = 9 on."""
    (told,) = guards(tmp_path, [0.7] * 40 + [1.5] * 40)
    assert told["step"] == 49
    assert (told["data"]["name"], told["data"]["action"]) == ("divergence", "warn")
    assert "from 0.7 in the first 20 steps to 1.06" in told["data"]["message"]
    assert "lower learning_rate" in told["data"]["message"]


def test_a_value_loss_that_rises_for_good_is_told_with_the_setting_that_lowers_it(
    tmp_path: Path,
) -> None:
    (told,) = guards(tmp_path, [0.7] * 40 + [1.5] * 40, name="value_loss")
    assert told["data"]["message"].startswith("The value loss rose from 0.7 in the first 20")
    assert "lower value_learning_rate" in told["data"]["message"]


def test_a_policy_that_learns_no_value_has_no_value_loss_to_rise(tmp_path: Path) -> None:
    assert guards(tmp_path, [0.0] * 80, name="value_loss") == []


@pytest.mark.parametrize(
    "losses",
    [
        [0.7] * 60,
        [0.7] * 40 + [5.0] + [0.7] * 40,
        [3.0 / (1 + step) for step in range(80)],
        [float("nan")] * 60,
        [0.7] * 20 + [9.0] * 19,
    ],
    ids=["level", "one spike", "falling", "nothing finite", "too short to say"],
)
def test_what_is_no_divergence_is_not_told(tmp_path: Path, losses: list[float]) -> None:
    assert guards(tmp_path, losses) == []


def test_other_numbers_than_the_loss_are_not_watched(tmp_path: Path) -> None:
    assert guards(tmp_path, [0.1] * 40 + [9.0] * 40, name="margin") == []


def test_a_policy_far_from_its_start_is_told_once(tmp_path: Path) -> None:
    (told,) = guards(tmp_path, [3.0, 49.0, 51.0, 60.0], name="log_ratio", spec=DIRECT)
    assert (told["step"], told["data"]["name"], told["data"]["action"]) == (3, "log_ratio", "warn")
    assert "51 nats from what the starting policy gave it, beyond max_log_ratio 50" in str(
        told["data"]["message"]
    )


def test_without_a_ceiling_no_distance_is_told(tmp_path: Path) -> None:
    spec = DpoSpec(model="m", data="d", max_log_ratio=0.0)
    assert guards(tmp_path, [1e4], name="log_ratio", spec=spec) == []


@pytest.mark.parametrize(
    ("stop_on", "ends"), [("divergence", False), ("divergence, log_ratio", True)]
)
def test_a_guard_that_stop_on_names_ends_the_training(
    tmp_path: Path, stop_on: str, ends: bool
) -> None:
    spec = DpoSpec(model="m", data="d", max_log_ratio=50.0, stop_on=stop_on)
    with Reporter(tmp_path) as reporter:
        run, watch = watched(tmp_path, reporter, spec)
        reporter.listen(watch.hear)
        reporter.metrics({"log_ratio": 51.0}, step=1)
    assert bool(run.ending.reason) is ends
    assert run.outcome("steps").startswith("The probability" if ends else "all steps done")


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"kind": "sft", "stop_on": "log_ratio"}, "'log_ratio' is not one of divergence"),
        ({"kind": "dpo", "stop_on": "entropy"}, "'entropy' is not one of divergence, log_ratio"),
        ({"kind": "grpo", "stop_on": "divergence"}, "'divergence' is not one of entropy, length"),
        (
            {"kind": "ppo", "stop_on": "divergence", "baseline": "leave_one_out"},
            "with baseline leave_one_out none is learned",
        ),
    ],
    ids=["sft", "dpo", "grpo", "ppo"],
)
def test_a_guard_that_a_kind_has_not_is_refused(spec: dict[str, object], refused: str) -> None:
    places = {"model": "m", "data": "d"}
    if spec["kind"] in {PpoSpec.kind, GrpoSpec.kind}:
        places["reward_model"] = "r"
    with pytest.raises(SpecError, match=f"stop_on: .*{refused}"):
        spec_from_dict(spec | places)
