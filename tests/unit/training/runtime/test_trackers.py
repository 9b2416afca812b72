"""Other tools hear the numbers of a run as the events have them; none of them can end it.

The fakes have the names and arguments of the packages' documented functions, and nothing else.
"""

import json
import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from training.runtime.metrics import Reporter
from training.runtime.trackers import numbers_of, tracking
from training.spec.errors import SpecError
from training.spec.events import EventKind
from training.spec.preferences import SftSpec
from training.spec.runs import spec_from_dict


def spec(trackers):
    return SftSpec(model="m", data="d", trackers=trackers)


def told(folder, trackers):
    """A run of two steps and an evaluation."""
    with Reporter(folder, has_bar=False) as reporter, tracking(reporter, spec(trackers), folder):
        reporter.metrics({"loss": 1.5}, step=1)
        reporter.metrics({"loss": 1.25}, step=2)
        reporter.say(EventKind.EVALUATION, {"accuracy": {"value": 0.75, "n": 4}})  # of no step
        reporter.log("nothing to tell")


def installed(monkeypatch, name, **functions):
    module = ModuleType(name)
    for key, function in functions.items():
        setattr(module, key, function)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """As it was before the tools' own defaults were set."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "TRACKIO_DIR"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """That every step tells of."""
    monkeypatch.setattr("training.runtime.metrics.peak_memory_mb", lambda: 512.0)


HEARD = [
    ({"train/loss": 1.5, "train/peak_memory": 512.0}, 1),
    ({"train/loss": 1.25, "train/peak_memory": 512.0}, 2),
    ({"eval/accuracy": 0.75}, 2),
]


@pytest.fixture
def wandb(monkeypatch):
    calls = []

    class Run:
        def log(self, data, *, step=None):
            calls.append((data, step))

        def finish(self, exit_code=None):
            calls.append(("finish", exit_code))

    def init(*, project, name, id, resume, config, dir, mode):  # noqa: A002 - W&B's own
        calls.append((project, name, resume, config["model"], dir, mode, id))
        return Run()

    monkeypatch.delenv("WANDB_MODE", raising=False)
    installed(monkeypatch, "wandb", init=init)
    return calls


def test_wandb_hears_every_number_offline_and_its_end(tmp_path, wandb):
    told(tmp_path, "wandb")
    project, name, resume, model, place, mode, _ = wandb[0]
    assert (project, name, resume, model, mode) == (
        "concord", tmp_path.name, "allow", "m", "offline",
    )  # fmt: skip
    assert place == str(tmp_path / "trackers")
    assert wandb[1:] == [*HEARD, ("finish", 0)]


def test_what_is_measured_after_a_resume_belongs_to_the_step_it_goes_on_from(tmp_path, wandb):
    with Reporter(tmp_path, has_bar=False) as reporter, tracking(reporter, spec("wandb"), tmp_path):
        reporter.say(EventKind.STARTED, {}, step=7)
        reporter.say(EventKind.EVALUATION, {"accuracy": 0.5})
    assert wandb[1] == ({"eval/accuracy": 0.5}, 7)


def test_a_resumed_run_goes_on_in_the_same_wandb_run(tmp_path, wandb):
    told(tmp_path, "wandb")
    told(tmp_path, "wandb")
    ids = [one[6] for one in wandb if len(one) == 7]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_mlflow_keeps_its_run_in_the_folder_and_goes_on_in_it(tmp_path, monkeypatch):
    calls = []
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def start_run(run_id=None, *, run_name=None):
        calls.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="r17"))

    installed(
        monkeypatch,
        "mlflow",
        set_tracking_uri=calls.append,
        set_experiment=calls.append,
        start_run=start_run,
        log_params=lambda params: calls.append(params["learning_rate"]),
        log_metrics=lambda metrics, step=None: calls.append((metrics, step)),
        end_run=lambda status="FINISHED": calls.append(status),
    )
    told(tmp_path, "mlflow")
    assert calls[0] == f"sqlite:///{tmp_path / 'trackers' / 'mlflow.db'}"
    assert calls[1:4] == ["concord", ("start", None, tmp_path.name), 1e-5]
    assert calls[4:] == [*HEARD, "FINISHED"]
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    calls.clear()
    told(tmp_path, "mlflow")
    assert ("start", "r17", None) in calls


def test_one_that_cannot_be_opened_is_left_out_and_told_of(tmp_path, monkeypatch, wandb):
    def init(**_options):
        raise RuntimeError("api_key not configured")

    installed(monkeypatch, "trackio", init=init)
    told(tmp_path, "trackio,wandb")
    assert wandb[1:] == [*HEARD, ("finish", 0)]
    events = (tmp_path / "events.jsonl").read_text().splitlines()
    [log] = [one for one in map(json.loads, events) if one["data"].get("tracker")]
    assert log["data"]["reason"] == "RuntimeError: api_key not configured"


def test_those_that_are_open_are_closed_where_another_is_not_installed(tmp_path, wandb):
    with pytest.raises(SpecError, match="trackio is not installed"):
        told(tmp_path, "wandb,trackio")
    assert wandb[1:] == [("finish", 1)]


def test_trackio_hears_every_number(tmp_path, monkeypatch):
    calls = []
    installed(
        monkeypatch,
        "trackio",
        init=lambda *, project, name, config, resume: calls.append(  # noqa: ARG005 - trackio's own
            (project, name, resume)
        ),
        log=lambda metrics, step=None: calls.append((metrics, step)),
        finish=lambda: calls.append("finish"),
    )
    told(tmp_path, "trackio")
    assert calls == [("concord", tmp_path.name, "allow"), *HEARD, "finish"]
    assert os.environ["TRACKIO_DIR"] == str(tmp_path / "trackers" / "trackio")


def test_tensorboard_event_files_hold_every_number(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    told(tmp_path, "tensorboard")
    events = reading.EventAccumulator(str(tmp_path / "trackers" / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in events.Scalars("train/loss")] == [(1, 1.5), (2, 1.25)]
    assert [one.value for one in events.Scalars("eval/accuracy")] == [0.75]


def test_a_tool_that_is_not_installed_is_named_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(SpecError, match="`pip install trackio`"):
        told(tmp_path, "trackio")


def test_a_tool_that_breaks_is_left_out_and_the_run_goes_on(tmp_path, monkeypatch):
    calls = []

    def log(_metrics, step=None):
        calls.append(step)
        raise ConnectionError("away")

    installed(
        monkeypatch, "trackio", init=lambda **_: None, log=log, finish=lambda: calls.append("end")
    )
    told(tmp_path, "trackio")
    assert calls == [1]
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [one["kind"] for one in events].count("metrics") == 2
    (failure,) = [one["data"] for one in events if "tracker" in one["data"]]
    assert (failure["tracker"], failure["reason"]) == ("trackio", "ConnectionError: away")


def test_a_run_that_fails_is_told_so(tmp_path, wandb):
    class BrokenError(Exception):
        pass

    with (
        pytest.raises(BrokenError),
        Reporter(tmp_path, has_bar=False) as reporter,
        tracking(reporter, spec("wandb"), tmp_path),
    ):
        raise BrokenError
    assert wandb[-1] == ("finish", 1)


def test_an_unknown_tool_is_refused_with_the_spec():
    row = {"kind": "sft", "model": "m", "data": "d", "trackers": "wandb, comet"}
    with pytest.raises(SpecError, match="'comet' is not one of tensorboard, wandb"):
        spec_from_dict(row)
    assert spec_from_dict({**row, "trackers": "wandb, wandb"}).tracker_names() == ("wandb",)


def test_only_numbers_are_told():
    data = {"a": 1, "b": None, "c": {"value": None, "reason": "few"}, "d": {"e": 2.0}, "f": True}
    assert numbers_of(data, "eval") == {"eval/a": 1.0, "eval/d/e": 2.0}
