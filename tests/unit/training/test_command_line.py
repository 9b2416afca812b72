"""The command line, mostly in this process; where the process itself matters, as a child."""

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

import training.__main__ as command_line
from tests.unit.training.trainers.runs import StopAt
from training import execution
from training.__main__ import main
from training.runtime.stopping import StopRequest
from training.spec.errors import DiskFull, OutOfMemory
from training.spec.runs import SPECS


@pytest.fixture
def folder(tiny_folder: Path, snapshot: Path, tmp_path: Path) -> Path:
    settings = [f"model={tiny_folder}", f"data={snapshot}", "max_steps=2", "learning_rate=1e-3"]
    new(tmp_path / "run", *settings)
    return tmp_path / "run"


def new(folder: Path, *settings: str) -> int:
    return main(
        ["new", "reward_model", str(folder), *(word for one in settings for word in ("--set", one))]
    )


def result(folder: Path) -> dict[str, object]:
    return json.loads((folder / "result.json").read_text())


def last_event(folder: Path) -> dict[str, object]:
    return json.loads((folder / "events.jsonl").read_text().splitlines()[-1])


@pytest.fixture(scope="module")
def told() -> StringIO:
    """What the run of `done` wrote on standard output."""
    return StringIO()


@pytest.fixture(scope="module")
def done(
    tiny_folder: Path, snapshot: Path, tmp_path_factory: pytest.TempPathFactory, told: StringIO
) -> Path:
    """The folder of a finished run, which the tests leave as it is."""
    folder = tmp_path_factory.mktemp("done") / "run"
    settings = [f"model={tiny_folder}", f"data={snapshot}", "max_steps=2", "learning_rate=1e-3"]
    new(folder, *settings)
    with redirect_stdout(told):
        assert main(["run", str(folder)]) == 0
    return folder


def test_new_refuses_more_layers_than_a_local_model_has(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "run", f"model={tiny_folder}", "data=d", "layers=99") != 0
    assert "layers: 99 of the backbone's 2 cannot be kept." in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert new(tmp_path / "run", f"model={tiny_folder}", "data=d", "layers=2") == 0
    assert new(tmp_path / "hub", "model=owner/name", "data=d", "layers=99") == 0


def test_a_run_ends_with_metrics_and_an_artifact(done: Path) -> None:
    folder, found = done, result(done)
    assert (found["status"], found["error"]) == ("done", None)
    assert found["metrics"]["accuracy"]["n"] == 32  # type: ignore[index] # 2 steps of 8 prompts, 2 pairs each
    assert found["seconds"] > 0  # type: ignore[operator] # parsed JSON
    assert found["peak_memory_mb"] > 0  # type: ignore[operator] # parsed JSON
    assert last_event(folder)["kind"] == "finished"
    assert (folder / "artifact" / "model.safetensors").is_file()


def test_new_and_run_say_where_to_go_on(
    done: Path, told: StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    main(["new", "sft", str(other), "--set", "model=m", "--set", "data=d"])
    assert capsys.readouterr().out.endswith(f"Start it: python -m training run {other}\n")
    assert f"the model is in {done / 'artifact'}" in told.getvalue()
    accuracy = result(done)["metrics"]["accuracy"]  # type: ignore[index] # parsed JSON
    last = told.getvalue().splitlines()[-1]
    assert last.startswith(f"It came to: held-out accuracy {accuracy['value']:.4g} (95 %: ")
    assert last.endswith(f", n {accuracy['n']})")


def test_what_was_read_and_left_out_is_told_where_the_run_was_started(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_spec(folder, max_steps=1, max_response_tokens=4)
    assert main(["run", str(folder)]) == 0
    said = [one for one in capsys.readouterr().err.splitlines() if "are read" in one]
    records = result(folder)["metrics"]["records"]  # type: ignore[index] # parsed JSON
    assert records["responses_cut"] > 0
    told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in records.items())
    assert said[0] == f"The training pairs are read: {told}."


def test_one_process_says_that_it_shards_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_spec(folder, max_steps=1, sharding="full")
    assert main(["run", str(folder)]) == 0
    assert capsys.readouterr().err.startswith("sharding full does nothing here: one process holds")


def test_a_done_run_is_not_done_twice(done: Path) -> None:
    before = result(done)
    assert main(["resume", str(done)]) == 0
    assert result(done) == before


def test_a_run_with_checkpoints_is_resumed_not_begun_again(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(done)]) == 1
    assert "use `resume`" in capsys.readouterr().err


def test_the_artifact_can_be_measured_again(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "again"))
    assert main(["eval", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == result(folder)["metrics"]["accuracy"]  # type: ignore[index] # parsed JSON


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("learning_rate=fast", "learning_rate: 'fast' is not a number."),
        ("learning_rate=nan", "learning_rate: 'nan' is not a number."),
        ("use_margin=yes", "use_margin: 'yes' is not true or false."),
        ("epocs=3", "epocs: Reward model has no such field; is epochs meant?"),
        ("learning_rate=7", "learning_rate: 7.0 is outside"),
        ("speed=9", "speed: Reward model has no such field"),
        ("speed=fast", "speed: Reward model has no such field"),
        ("max_steps=1.5", "max_steps: 1.5 is not a whole number"),
        ("use_margin=1", "use_margin: 1 is not true or false"),
        ("ties=keep", "ties: 'keep' is not one of drop, half"),
        ("learning_rate", "write it as FIELD=VALUE"),
    ],
)
def test_a_wrong_setting_names_field_value_and_what_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, says: str
) -> None:
    assert new(tmp_path / "run", "model=m", "data=d", setting) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_all_wrong_settings_are_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new(tmp_path / "run", "model=m", "learning_rate=fast", "speed=9") == 1
    told = [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["speed", "data", "learning_rate"]


def test_true_may_be_written_as_in_python(tmp_path: Path) -> None:
    assert new(tmp_path / "run", "model=m", "data=d", "use_margin=True") == 0
    assert json.loads((tmp_path / "run" / "spec.json").read_text())["use_margin"] is True


def test_new_says_what_is_not_there_yet(
    folder: Path, snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capsys.readouterr().err == ""
    rows = tmp_path / "rows.jsonl"
    rows.touch()
    assert new(tmp_path / "we ird", f"model={tmp_path}/none", f"data={rows}") == 0
    out, err = capsys.readouterr()
    assert out.endswith(f"run '{tmp_path}/we ird'\n")
    assert f"data: {rows} is a file. Make a snapshot of its rows first: python -m training" in err
    assert f"model: there is no folder {tmp_path}/none" in err
    new(tmp_path / "hub", "model=owner/name", f"data={snapshot}")
    assert capsys.readouterr().err == ""


def test_a_run_that_was_stopped_before_it_saved_anything_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = StopRequest()
    stop.ask("The run was asked to stop (SIGINT).")
    monkeypatch.setattr(execution, "listening", lambda: nullcontext(stop))
    assert main(["run", str(folder)]) == 1
    told = capsys.readouterr().err
    assert told.endswith(f"Nothing was saved yet. Begin again: python -m training run {folder}\n")
    assert main(["eval", str(folder)]) == 1
    assert f"First: python -m training run {folder}" in capsys.readouterr().err


def test_a_whole_number_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    assert new(tmp_path / "run", "model=m", "data=d", "max_steps=1e3") == 0
    assert json.loads((tmp_path / "run" / "spec.json").read_text())["max_steps"] == 1000


def test_new_refuses_passes_over_rows_where_updates_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("model=m", "data=d", "reward_model=r", "epochs=2")
    words = [word for one in settings for word in ("--set", one)]
    assert main(["new", "ppo", str(tmp_path / "run"), *words]) == 1
    assert capsys.readouterr().err.startswith("epochs: PPO makes `updates`")
    assert not (tmp_path / "run").exists()


def test_every_setting_of_a_kind_is_listed_with_what_is_allowed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["settings", "ppo"]) == 0
    said = capsys.readouterr().out
    assert (
        "  learning_rate: default 1e-05; demo 0.0003, standard 5e-05; from 1e-09 to 1.0\n" in said
    )
    assert '  kl_estimator: default "k1"; one of k1, k2, k3\n' in said
    assert "  reward_model: required\n      Folder of the reward model.\n" in said
    assert [one.name for one in SPECS["ppo"].used_fields() if f"  {one.name}: " not in said] == []
    assert "  epochs: " not in said


def test_new_does_not_overwrite_a_spec(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(folder, "model=m", "data=d") == 1
    assert "already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a JSON object, not list"),
        ("[" * 100_000, "is not JSON"),
        ('{"kind": "magic"}', "kind: 'magic' is not one of"),
        ('{"kind": "sft", "model": "m"}', "data: this field is required"),
    ],
)
def test_a_broken_spec_is_a_failed_run_with_a_sentence(folder: Path, text: str, says: str) -> None:
    (folder / "spec.json").write_text(text)
    assert main(["run", str(folder)]) == 1
    found = result(folder)
    assert (found["status"], found["error"]["kind"]) == ("failed", "spec_error")  # type: ignore[index] # parsed JSON
    assert says in found["error"]["message"]  # type: ignore[index] # parsed JSON


def change_spec(folder: Path, **fields: object) -> None:
    path = folder / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(("field", "kind"), [("model", "model_error"), ("data", "data_error")])
def test_a_missing_folder_is_a_failed_run_with_a_sentence(
    folder: Path, field: str, kind: str
) -> None:
    change_spec(folder, **{field: "/nowhere"})
    assert main(["run", str(folder)]) == 1
    assert result(folder)["error"]["kind"] == kind  # type: ignore[index] # parsed JSON
    assert last_event(folder)["kind"] == "failed"


@pytest.mark.parametrize("content", ["{", '{"prompt_id": 1}', "[1]", '"text"', "\x00"])
def test_broken_records_are_a_failed_run_with_a_sentence(
    folder: Path, tmp_path: Path, content: str
) -> None:
    (tmp_path / "groups.jsonl").write_text(content + "\n")
    change_spec(folder, data=str(tmp_path))
    assert main(["run", str(folder)]) == 1
    assert result(folder)["error"]["kind"] == "data_error"  # type: ignore[index] # parsed JSON


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "No space left on device")], ids=type)
def test_running_out_of_memory_or_disk_is_a_failed_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> execution.Algorithm:
        raise error

    monkeypatch.setattr(execution, "algorithm", fail)
    assert main(["run", str(folder)]) == 1
    kinds = {OutOfMemory.kind, DiskFull.kind}
    assert result(folder)["error"]["kind"] in kinds  # type: ignore[index] # parsed JSON


def run_until_stopped(folder: Path, place: str, *, time: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, place, time=time)
        patch.setattr(execution, "listening", lambda: nullcontext(stop))
        assert main(["run", str(folder)]) == 1
    assert result(folder)["status"] == "cancelled"


def test_a_cancelled_run_says_so_and_can_be_resumed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_until_stopped(folder, "training.runtime.optimize:Optimizer.step", time=1)
    assert capsys.readouterr().err.endswith(f"Go on: python -m training resume {folder}\n")
    assert [one.name for one in (folder / "checkpoints").iterdir()] == ["1"]
    assert main(["resume", str(folder)]) == 0
    assert result(folder)["status"] == "done"


def test_a_run_stopped_while_it_is_measured_is_only_measured_when_resumed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_until_stopped(folder, "training.evals.reward_accuracy:score_tree", time=1)
    weights = (folder / "artifact" / "model.safetensors").stat()
    monkeypatch.setattr("training.trainers.reward_model.train", None)
    assert main(["resume", str(folder)]) == 0
    assert (folder / "artifact" / "model.safetensors").stat() == weights
    found = result(folder)["metrics"]
    assert (found["steps"], found["accuracy"]["n"]) == (2, 32)  # type: ignore[index] # parsed JSON


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"status": "failed"}'])
def test_a_result_that_says_nothing_of_an_end_does_not_keep_a_run_from_going_on(
    done: Path, tmp_path: Path, text: str
) -> None:
    folder = shutil.copytree(done, tmp_path / "again")
    (folder / "result.json").write_text(text)
    assert main(["resume", str(folder)]) == 0
    assert result(folder)["status"] == "done"


def test_a_spoiled_file_of_what_the_trainer_told_says_how_to_go_on(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(done, tmp_path / "again")
    (folder / "result.json").unlink()
    (folder / "trained.json").write_text("{")
    assert main(["resume", str(folder)]) == 1
    assert f"{folder / 'trained.json'} cannot be read" in capsys.readouterr().err
    (folder / "trained.json").unlink()
    assert main(["resume", str(folder)]) == 0


@pytest.mark.parametrize("text", ["x", "{}", "[]", '{"step": 2}'])
def test_a_spoiled_checkpoint_says_which_to_delete(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    folder = shutil.copytree(done, tmp_path / "again")
    for name in ("result.json", "trained.json"):
        (folder / name).unlink()
    checkpoint = max((folder / "checkpoints").iterdir())
    (checkpoint / "state.json").write_text(text)
    assert main(["resume", str(folder)]) == 1
    assert f"The checkpoint {checkpoint} cannot be read" in capsys.readouterr().err
    assert result(folder)["error"]["kind"] == "model_error"  # type: ignore[index] # parsed JSON


@pytest.mark.parametrize(
    "words",
    [
        ["new", "sft", "FILE", "--set", "model=m", "--set", "data=d"],
        ["new", "sft", "FILE/run", "--set", "model=m", "--set", "data=d"],
        ["snapshot", "FILE/made", "ROWS"],
    ],
)
def test_a_file_where_a_folder_belongs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "rows").write_text('{"prompt": "Why?"}')
    places = {"FILE": str(tmp_path / "file"), "ROWS": str(tmp_path / "rows")}
    for name, place in places.items():
        words = [one.replace(name, place) for one in words]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert told.startswith(str(tmp_path / "file"))
    assert "cannot be used: " in told


def test_ctrl_c_is_a_word_and_not_a_traceback(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "settings_text", interrupted)
    assert main(["settings", "sft"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_help_needs_no_torch() -> None:
    code = (
        "import sys, training.__main__ as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=-3).returncode == 0


def test_what_nobody_expected_is_written_into_the_result_and_told_with_its_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_arguments: object) -> None:
        raise IndexError("index out of range in self")

    monkeypatch.setattr(execution, "_measured", broken)
    assert main(["run", str(folder)]) == 1
    error = result(folder)["error"]
    assert error["kind"] == "broke"
    assert "IndexError: index out of range in self" in error["message"]
    assert last_event(folder)["kind"] == "failed"
    assert "Traceback" in capsys.readouterr().err


def test_a_file_in_the_way_of_a_run_is_named_in_its_result(folder: Path) -> None:
    (folder / "checkpoints").write_text("a file")
    assert main(["run", str(folder)]) == 1
    error = result(folder)["error"]
    assert error["kind"] == "unusable_file"
    assert "checkpoints" in error["message"]
    assert "cannot be used: Not a directory" in error["message"]
