"""A worker trains a run: what its process says is taken in once, its end becomes a model or a sentence."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from django.db import OperationalError

from annotation.projects.models import Role
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.services import take_in_events
from tests import factories
from tests.integration.conftest import TRAINER
from tests.unit.training.conftest import judged_group, write_groups
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers import process, training
from workers.housekeeping import remove_old_checkpoints
from workers.training import execute_run, run_folder

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def place(settings, tmp_path):
    settings.CONCORD_VAR = tmp_path


def steps(run, kind="metrics"):
    return list(run.events.filter(kind=kind).order_by("pk").values_list("step", flat=True))


def test_a_run_that_ends_well_registers_a_model_that_knows_where_it_came_from(trainer, run):
    execute_run(run.pk)
    run.refresh_from_db()
    version = run.model_version
    assert (run.status, version.kind, version.number) == ("done", "reward", 1)
    assert version.metrics == {"accuracy": 0.75}
    assert version.lineage["snapshot"]["sha256"] == "5" * 64
    assert version.lineage["judgments"] == {"count": 9}
    assert version.lineage["guideline_versions"] == [1, 2]
    assert version.lineage["code_revision"] == run.code_revision != ""
    assert version.parent == run.base_model


def test_every_event_is_kept_once_in_order_and_progress_is_on_the_run(trainer, run):
    execute_run(run.pk)
    run.refresh_from_db()
    assert steps(run) == list(range(1, 13))
    assert (run.stage, run.progress_done, run.progress_total) == ("training", 12, 12)
    assert run.events_offset == (run_folder(run.pk) / "events.jsonl").stat().st_size


def test_a_run_that_is_done_keeps_no_checkpoint(trainer, run):
    execute_run(run.pk)
    assert not (run_folder(run.pk) / "checkpoints").exists()


def test_checkpoints_of_a_run_that_another_machine_finished_are_removed_here(trainer, run):
    finished = factories.training_run(run.project, status="done")
    left = [run_folder(one.pk) / "checkpoints" / "3" for one in (finished, run)]
    left.append(run_folder(finished.pk) / "adapters" / "4")
    for one in left:
        one.mkdir(parents=True)
    artifact = run_folder(finished.pk) / "artifact"
    artifact.mkdir()
    remove_old_checkpoints()
    assert [one.exists() for one in left] == [False, True, False]
    assert artifact.exists()


def test_the_output_of_the_process_is_kept_for_the_page(trainer, run):
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.log_tail.startswith("run in process")


def test_a_run_that_is_executed_again_goes_on_from_its_checkpoint_without_gap_or_duplicate(
    trainer, run
):
    trainer("--fault", "crash")
    execute_run(run.pk)
    trainer()
    TrainingRun.objects.filter(pk=run.pk).update(status="queued")
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.status == "done"
    assert steps(run, "started") == [0, 3]
    assert steps(run) == list(range(1, 13))


def test_the_failure_of_an_earlier_attempt_is_not_taken_for_that_of_a_later_one(
    trainer, run, settings
):
    trainer("--fault", "diverged")
    execute_run(run.pk)
    settings.CONCORD_TRAINING_COMMAND = shlex.join([sys.executable, "-c", "1 / 0"])
    TrainingRun.objects.filter(pk=run.pk).update(status="queued")
    execute_run(run.pk)
    run.refresh_from_db()
    assert "The last line of its log: ZeroDivisionError" in run.error


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("crash", "The last line of its log: Segmentation fault, or so"),
        ("disk_full", "is full. Free some space, then resume the run."),
        ("killed", "most often because memory ran out"),
        ("diverged", "The loss is no longer finite at step 12."),
        ("torn_result", "before it could write its result"),
        ("odd_result", "before it could write its result"),
        ("no_object", "before it could write its result"),
        ("nul_result", "A\ufffdB"),
    ],
)
def test_a_process_that_fails_leaves_a_sentence_and_its_events(trainer, run, fault, sentence):
    trainer("--fault", fault)
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.status == "failed"
    assert sentence in run.error
    assert steps(run)[:5] == [1, 2, 3, 4, 5]
    assert run.model_version is None


def test_lines_that_cannot_be_read_are_left_out_and_named(trainer, run):
    trainer("--fault", "garbage")
    execute_run(run.pk)
    run.refresh_from_db()
    logs = [one["message"] for one in run.events.filter(kind="log").values_list("data", flat=True)]
    assert run.status == "done"
    assert steps(run) == list(range(1, 13))
    assert sum("could not be read and was left out" in one for one in logs) == 4
    assert "a\ufffdb ?" in logs


def test_a_half_written_line_waits_for_its_end(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b"')
    assert process.whole_lines(path, 0) == ([b'{"a": 1}\n'], 9)


def test_a_worker_that_lost_the_run_takes_nothing_in(run):
    line = json.dumps({"kind": "metrics", "at": 1, "step": 1, "data": {}}).encode() + b"\n"
    TrainingRun.objects.filter(pk=run.pk).update(status="running", owner="another")
    is_ours = take_in_events(run_id=run.pk, owner="me", lines=[line], start=0, end=len(line))
    assert not is_ours
    assert not RunEvent.objects.exists()


def test_the_same_bytes_are_never_taken_in_twice(run):
    line = json.dumps({"kind": "metrics", "at": 1, "step": 1, "data": {}}).encode() + b"\n"
    TrainingRun.objects.filter(pk=run.pk).update(status="running", owner="me")
    again = {"run_id": run.pk, "owner": "me", "lines": [line], "start": 0, "end": len(line)}
    assert [take_in_events(**again), take_in_events(**again)] == [True, False]
    assert steps(run) == [1]


def test_a_cancelled_run_ends_its_process_and_keeps_its_checkpoint(trainer, run, monkeypatch):
    trainer("--step-seconds", "0.05")
    monkeypatch.setattr("workers.running.LOOK_EVERY", 0)
    cancel_when_heard(run, monkeypatch)
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert json.loads((run_folder(run.pk) / "result.json").read_text())["status"] == "cancelled"
    assert list((run_folder(run.pk) / "checkpoints").iterdir())
    assert_no_process_works_in(run_folder(run.pk))


def test_a_process_that_does_not_hear_is_killed_after_the_grace(trainer, run, monkeypatch):
    trainer("--step-seconds", "0.05", "--fault", "deaf")
    monkeypatch.setattr("workers.running.LOOK_EVERY", 0)
    monkeypatch.setattr(
        process.start, "__kwdefaults__", {"environment": None, "grace_seconds": 0.2}
    )
    cancel_when_heard(run, monkeypatch)
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert_no_process_works_in(run_folder(run.pk))


def test_a_run_over_its_time_limit_is_stopped_with_a_sentence(trainer, run):
    trainer("--step-seconds", "5")
    TrainingRun.objects.filter(pk=run.pk).update(timeout_seconds=0)
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "longer than its limit of 0 seconds" in run.error
    assert_no_process_works_in(run_folder(run.pk))


def test_a_fenced_worker_ends_its_process_and_writes_nothing_more(trainer, run, monkeypatch):
    trainer("--step-seconds", "0.05")
    when_heard(lambda: TrainingRun.objects.filter(pk=run.pk).update(owner="another"), monkeypatch)
    execute_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.owner) == ("running", "another")
    assert_no_process_works_in(run_folder(run.pk))


def test_what_a_dead_worker_left_running_is_ended_before_the_folder_is_used(tmp_path):
    command = [sys.executable, str(TRAINER), "--step-seconds", "9", "--fault", "deaf", "run"]
    first = process.start([*command, str(tmp_path)], folder=tmp_path, log=tmp_path / "log.txt")
    with process.start(
        [sys.executable, "-c", ""], folder=tmp_path, log=tmp_path / "log.txt", grace_seconds=0.2
    ):
        assert first.follow(lambda: None, timeout_seconds=5) == -9
    first.stop()


def test_the_process_is_given_the_places_of_its_models_and_records(trainer, run, tmp_path):
    reward = factories.policy(run.project, kind="reward", location="some/reward")
    run.base_model.location = "some/policy"
    run.base_model.save()
    TrainingRun.objects.filter(pk=run.pk).update(
        kind="ppo", spec={"kind": "ppo", "updates": 3, "epochs": 2.0}, reward_model=reward
    )
    execute_run(run.pk)
    spec = json.loads((run_folder(run.pk) / "spec.json").read_text())
    told = ("kind", "model", "data", "reward_model", "updates", "epochs")
    places = {name: spec[name] for name in told}
    assert places == {
        "kind": "ppo",
        "model": "some/policy",
        "data": str(tmp_path),
        "reward_model": "some/reward",
        "updates": 3,
        "epochs": 1.0,  # PPO makes no passes over rows
    }


@pytest.mark.parametrize(
    ("role", "status", "url"),
    [(Role.ADMIN, "done", "http://10.0.0.7:8000/v1"), (Role.ENGINEER, "failed", None)],
)
def test_the_process_is_given_a_server_that_an_admin_registered_and_no_other(
    trainer, run, role, status, url
):
    """Looked at anew as it starts: who registered it may be no admin any more."""
    fields = {"backend": "http", "location": "http://10.0.0.7:8000/v1"}
    server = factories.policy(run.project, created_by=factories.member(run.project, role), **fields)
    reward = factories.policy(run.project, kind="reward", location="some/reward")
    spec = {"kind": "grpo", "updates": 3, "lora_rank": 4}
    TrainingRun.objects.filter(pk=run.pk).update(
        kind="grpo", spec=spec, reward_model=reward, sampler=server
    )
    execute_run(run.pk)
    run.refresh_from_db()
    written = run_folder(run.pk) / "spec.json"
    told = json.loads(written.read_text())["sampler_url"] if written.is_file() else None
    assert (run.status, told) == (status, url)
    assert ("no server that an admin" in run.error) is (status == "failed")


def test_a_missing_model_folder_is_named_before_a_process_starts(trainer, run):
    run.base_model.location = "/nowhere/model"
    run.base_model.save()
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "/nowhere/model, is not there" in run.error


def test_a_missing_snapshot_folder_is_named(trainer, run, tmp_path):
    (tmp_path / "groups.jsonl").unlink()
    execute_run(run.pk)
    run.refresh_from_db()
    assert f"The records of snapshot {run.snapshot.name} are not at" in run.error


def test_a_run_whose_folder_was_lost_starts_from_nothing(trainer, run, settings, tmp_path):
    trainer("--fault", "crash")
    execute_run(run.pk)
    trainer()
    settings.CONCORD_VAR = tmp_path / "new"
    TrainingRun.objects.filter(pk=run.pk).update(status="queued")
    execute_run(run.pk)
    assert steps(run, "started") == [0]
    assert steps(run) == list(range(1, 13))


def test_a_run_finished_twice_registers_one_model(trainer, run):
    execute_run(run.pk)
    TrainingRun.objects.filter(pk=run.pk).update(status="queued")
    execute_run(run.pk)
    assert run.project.model_versions.filter(kind="reward").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_for_a_moment_does_not_stop_a_run(trainer, run, monkeypatch):
    hear, failures = training.Ear.hear, [OperationalError("gone"), OperationalError("still gone")]

    def hear_or_fail(ear):
        if failures:
            raise failures.pop()
        return hear(ear)

    trainer("--step-seconds", "0.1")
    monkeypatch.setattr(training.Ear, "hear", hear_or_fail)
    execute_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("done", 1)
    assert steps(run) == list(range(1, 13))


def when_heard(act, monkeypatch):
    """Do ``act`` once the first metrics have been taken in."""
    hear, done = training.Ear.hear, []

    def hear_then_act(ear):
        heard = hear(ear)
        if heard and not done and RunEvent.objects.filter(kind="metrics").exists():
            done.append(act())
        return heard

    monkeypatch.setattr(training.Ear, "hear", hear_then_act)


def cancel_when_heard(run, monkeypatch):
    when_heard(lambda: TrainingRun.objects.get(pk=run.pk).request_cancel(), monkeypatch)


def assert_no_process_works_in(folder):
    with process.take_lock(folder, grace_seconds=0):
        pass


@pytest.mark.slow
def test_a_real_run_of_a_tiny_model_publishes_a_reward_model(settings, tmp_path):
    """`python -m training` itself: torch, events, checkpoints, evaluation."""
    settings.CONCORD_VAR = tmp_path / "var"
    settings.CONCORD_LEASE_SECONDS = 3600
    models = tmp_path / "tiny"
    tiny_llama().save_pretrained(models)
    tiny_tokenizer().save_pretrained(models)
    write_groups(tmp_path / "records", [judged_group(number) for number in range(8)])
    project = factories.project()
    run = factories.training_run(
        project,
        snapshot=factories.snapshot(project, folder=str(tmp_path / "records")),
        base_model=factories.policy(project, location=str(models)),
        spec={"kind": "reward_model", "groups_per_step": 2, "checkpoint_every": 1},
    )
    execute_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("done", "")
    assert steps(run) == [1, 2]
    assert steps(run, "checkpoint") == [1, 2]
    assert run.model_version.metrics["accuracy"]["n"] > 0
    assert Path(run.model_version.location, "config.json").is_file()
