"""A run's checkpoints in a bucket: another machine goes on from the newest whole one, with the same numbers."""

import json
import shlex
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from annotation.core import bucket
from annotation.runs import services
from annotation.runs.models import TrainingRun
from tests import factories
from tests.unit.training.conftest import judged_group, write_groups
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers import checkpoints, training
from workers.housekeeping import remove_old_checkpoints
from workers.training import execute_run, run_folder

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("s3")]


@pytest.fixture
def away(monkeypatch):
    """`away()`: the bucket no longer says what it holds."""

    def refuse(*_):
        raise bucket.BucketFailed("The bucket is away.")

    return lambda patch=monkeypatch: patch.setattr(bucket, "names", refuse)


def recreated(run):
    """Another run with its id, as in a new database beside the same bucket and folders."""
    facts = {"pk": run.pk, "snapshot": run.snapshot, "base_model": run.base_model}
    run.delete()
    return factories.training_run(run.project, **facts)


def execute_again(run):
    TrainingRun.objects.filter(pk=run.pk).update(status="queued")
    execute_run(run.pk)
    run.refresh_from_db()


def steps(run, kind="metrics"):
    return list(run.events.filter(kind=kind).order_by("pk").values_list("step", flat=True))


def told(run):
    return [one["message"] for one in run.events.filter(kind="log").values_list("data", flat=True)]


def checkpoint(folder, step, text="weights"):
    path = folder / "checkpoints" / str(step)
    path.mkdir(parents=True)
    (path / "state.json").write_text(json.dumps({"step": step, "text": text}))
    return path


def test_a_run_that_broke_off_goes_on_elsewhere_from_its_checkpoint(
    trainer, run, settings, tmp_path
):
    """It ended after step 5; its checkpoint of step 3 is in the bucket."""
    trainer("--fault", "crash")
    execute_run(run.pk)
    trainer()
    settings.CONCORD_VAR = tmp_path / "two"
    execute_again(run)
    assert (run.status, run.error) == ("done", "")
    assert steps(run, "started") == [0, 3]
    assert steps(run) == list(range(1, 13))
    assert steps(run, "checkpoint") == [3, 6, 9, 12]
    assert any("the checkpoint of step 3 from the bucket" in one for one in told(run))


def test_a_run_that_comes_back_to_its_first_machine_takes_up_nothing_old(
    trainer, run, settings, tmp_path
):
    """One breaks off after step 5, two after its own fifth step, and one goes on from two's newest."""
    trainer("--fault", "crash")
    execute_run(run.pk)
    settings.CONCORD_VAR = tmp_path / "two"
    trainer("--fault", "crash", "--fault-at", "8")
    execute_again(run)
    assert run.status == "failed"
    settings.CONCORD_VAR = tmp_path / "one"
    trainer()
    execute_again(run)
    assert (run.status, run.error) == ("done", "")
    assert steps(run, "started") == [0, 3, 6]
    assert steps(run) == list(range(1, 13))


def test_the_bucket_of_a_run_that_is_done_holds_its_model_alone(trainer, run, s3):
    execute_run(run.pk)
    assert s3.names()
    assert [name for name in s3.names() if "/runs/" in name] == []


def test_a_checkpoint_without_its_list_is_not_there(s3, tmp_path):
    checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, 3).name))
    checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, 6).name))
    newest = checkpoints.stored("runs/7")[0]
    s3.client.delete_object(Bucket=s3.name, Key=f"team/runs/7/6/{newest.sha256}.json")
    assert checkpoints.bring_newest("runs/7", tmp_path / "two") == 3
    assert (tmp_path / "two" / "checkpoints" / "3" / "state.json").is_file()


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(s3, tmp_path):
    for step in (3, 6):
        checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, step).name))
    damaged = checkpoints.stored("runs/7")[0]
    s3.put(f"team/runs/7/6/{damaged.sha256}/state.json", b"{}")
    assert checkpoints.bring_newest("runs/7", tmp_path / "two") == 3
    assert [one.name for one in (tmp_path / "two" / "checkpoints").iterdir()] == ["3"]


def test_the_newest_two_are_kept_and_another_run_s_are_left_alone(s3, tmp_path):
    for step in (3, 6, 9):
        checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, step).name))
    checkpoints.store("runs/77", tmp_path, 3)
    assert [one.step for one in checkpoints.stored("runs/7")] == [9, 6]
    assert not [name for name in s3.names() if name.startswith("team/runs/7/3/")]
    assert [one.step for one in checkpoints.stored("runs/77")] == [3]


def test_a_machine_with_a_newer_checkpoint_keeps_its_own(s3, tmp_path):
    checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, 3).name))
    checkpoint(tmp_path / "two", 6)
    assert checkpoints.bring_newest("runs/7", tmp_path / "two") == 0
    assert checkpoints.newest_step(tmp_path / "two") == 6


def test_a_damaged_checkpoint_is_stored_again_once_the_run_comes_there(s3, tmp_path):
    for step in (3, 6):
        checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, step).name))
    damaged = checkpoints.stored("runs/7")[0]
    file = tmp_path / "checkpoints" / "6" / "state.json"
    s3.put(f"team/runs/7/6/{damaged.sha256}/state.json", b"0" * file.stat().st_size)
    checkpoints.bring_newest("runs/7", tmp_path / "two")
    assert [one.step for one in checkpoints.stored("runs/7")] == [3]
    checkpoint(tmp_path / "two", 6)
    checkpoints.store("runs/7", tmp_path / "two", 6)
    assert checkpoints.bring_newest("runs/7", tmp_path / "three") == 6


def test_later_checkpoints_of_another_worker_do_not_count_among_the_two_kept(s3, tmp_path):
    for step in (9, 3, 6):
        checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, step).name))
    assert [one.step for one in checkpoints.stored("runs/7")] == [9, 6, 3]


def test_a_checkpoint_that_was_not_stored_is_stored_when_the_run_ends(s3, tmp_path, monkeypatch):
    store, refused, said = checkpoints.store, [], []

    def refuse_once(*facts):
        if not refused:
            refused.append(facts)
            raise bucket.BucketFailed("The bucket is full.")
        store(*facts)

    def break_off():
        with checkpoints.Carrier("runs/7", tmp_path, tell=said.append) as carrier:
            carrier.look(3)
            raise RuntimeError

    monkeypatch.setattr(checkpoints, "store", refuse_once)
    checkpoint(tmp_path, 3)
    with pytest.raises(RuntimeError):
        break_off()
    assert len(said) == 1
    assert [one.step for one in checkpoints.stored("runs/7")] == [3]


def test_a_bucket_that_takes_no_checkpoint_stops_no_run_and_is_told(trainer, run, monkeypatch):
    def refuse(*_):
        raise bucket.BucketFailed("The bucket is full.")

    monkeypatch.setattr(checkpoints, "store", refuse)
    trainer("--step-seconds", "0.1")
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.status == "done"
    assert "A checkpoint was not stored for other machines. The bucket is full." in told(run)


def test_a_worker_that_lost_its_run_stores_no_last_checkpoint(trainer, run, monkeypatch):
    trainer("--step-seconds", "0.05")
    monkeypatch.setattr(checkpoints.Carrier, "look", lambda *_: None)
    hear = training.Ear.hear

    def hear_then_lose(ear):
        heard = hear(ear)
        if steps(run, "checkpoint"):
            TrainingRun.objects.filter(pk=run.pk).update(owner="another")
        return heard

    monkeypatch.setattr(training.Ear, "hear", hear_then_lose)
    execute_run(run.pk)
    assert checkpoints.newest_step(run_folder(run.pk)) >= 3
    assert checkpoints.stored(run.checkpoints_place) == []


def test_a_new_run_takes_up_nothing_of_one_with_its_id_in_a_database_before(
    trainer, run, settings, tmp_path
):
    trainer("--fault", "crash")
    execute_run(run.pk)
    settings.CONCORD_VAR = tmp_path / "two"
    newcomer = recreated(run)
    trainer()
    execute_again(newcomer)
    assert (newcomer.status, steps(newcomer, "started")) == ("done", [0])


def test_a_new_run_sets_aside_the_folder_of_one_with_its_id_in_a_database_before(trainer, run):
    trainer("--fault", "crash")
    execute_run(run.pk)
    newcomer = recreated(run)
    trainer()
    execute_again(newcomer)
    assert (newcomer.status, steps(newcomer, "started")) == ("done", [0])
    own = run_folder(newcomer.pk)
    left = [one for one in own.parent.iterdir() if one != own]
    assert [checkpoints.newest_step(one) for one in left] == [3]


def test_a_bucket_that_is_away_stops_no_new_run(trainer, run, away):
    away()
    execute_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("done", "")


def test_a_bucket_that_is_away_stops_no_run_that_goes_on_in_its_own_folder(trainer, run, away):
    trainer("--fault", "crash")
    execute_run(run.pk)
    away()
    trainer()
    execute_again(run)
    assert (run.status, steps(run, "started")) == ("done", [0, 3])
    assert any(
        one.startswith("The run goes on from what lies on") and "The bucket is away." in one
        for one in told(run)
    )


def test_a_run_from_another_machine_waits_for_a_bucket_that_is_away(
    trainer, run, away, settings, tmp_path, monkeypatch
):
    trainer("--fault", "crash")
    execute_run(run.pk)
    settings.CONCORD_VAR = tmp_path / "two"
    trainer()
    with monkeypatch.context() as patch:
        away(patch)
        execute_again(run)
    assert (run.status, run.error) == ("failed", "The bucket is away.")
    execute_again(run)
    assert (run.status, steps(run, "started")) == ("done", [0, 3])


def test_a_checkpoint_that_lacks_an_object_is_passed_over_for_the_one_before(s3, tmp_path):
    for step in (3, 6):
        checkpoints.store("runs/7", tmp_path, int(checkpoint(tmp_path, step).name))
    newest = checkpoints.stored("runs/7")[0]
    lost = f"team/runs/7/6/{newest.sha256}/state.json"
    s3.client.delete_object(Bucket=s3.name, Key=lost)
    assert checkpoints.bring_newest("runs/7", tmp_path / "two") == 3


def test_a_worker_that_loses_its_run_while_it_brings_a_checkpoint_changes_nothing(
    trainer, run, settings, tmp_path, monkeypatch
):
    def lose(*_):
        TrainingRun.objects.filter(pk=run.pk).update(owner="another")
        return 0

    trainer("--fault", "crash")
    execute_run(run.pk)
    run.refresh_from_db()
    facts, said = (run.work_folder, run.events_offset), list(run.events.order_by("pk"))
    settings.CONCORD_VAR = tmp_path / "two"
    monkeypatch.setattr(training, "bring_newest", lose)
    execute_again(run)
    assert (run.status, run.owner) == ("running", "another")
    assert (run.work_folder, run.events_offset) == facts
    assert list(run.events.order_by("pk")) == said


def test_a_worker_that_lost_its_run_says_nothing_more_in_its_log(trainer, run):
    TrainingRun.objects.filter(pk=run.pk).update(status="running", owner="another")
    services.tell(run_id=run.pk, owner="this", message="It moved.")
    services.tell(run_id=run.pk, owner="another", message="It goes on.")
    assert told(run) == ["It goes on."]


def test_what_no_run_goes_on_from_leaves_the_bucket_by_its_age(trainer, run, tmp_path):
    trainer("--fault", "crash")
    execute_run(run.pk)
    waiting = factories.training_run(run.project)
    checkpoint(tmp_path, 3)
    checkpoints.store(waiting.checkpoints_place, tmp_path, 3)
    day = timedelta(days=1)
    checkpoints.remove_unused(before=timezone.now() - day)
    assert checkpoints.stored(run.checkpoints_place)
    checkpoints.remove_unused(before=timezone.now() + day)
    assert checkpoints.stored(run.checkpoints_place) == []
    assert [one.step for one in checkpoints.stored(waiting.checkpoints_place)] == [3]


@pytest.mark.parametrize(("days", "is_kept"), [(30, True), (0, True), (-1, False)])
def test_the_age_is_a_setting(days, is_kept, s3, settings, tmp_path):
    checkpoint(tmp_path, 3)
    checkpoints.store("runs/7", tmp_path, 3)
    settings.CONCORD_CHECKPOINT_DAYS = days
    remove_old_checkpoints()
    assert bool(checkpoints.stored("runs/7")) == is_kept


def test_nothing_of_a_run_that_is_done_stays_though_it_was_never_listed(s3, tmp_path):
    checkpoint(tmp_path, 3)
    checkpoints.store("runs/7", tmp_path, 3)
    s3.put(f"team/runs/7/6/{'0' * 64}/state.json", b"{}")
    checkpoints.remove_all("runs/7")
    assert s3.names() == []


def test_what_a_killed_worker_left_half_done_is_removed_from_the_folder(trainer, run):
    place = run_folder(run.pk) / "checkpoints"
    for name in (".3.held", ".incoming-abc", ".6.draft"):
        (place / name).mkdir(parents=True)
    trainer("--fault", "crash")
    execute_run(run.pk)
    assert sorted(one.name for one in place.glob(".*")) == [".6.draft"]


@pytest.mark.slow
def test_what_is_trained_on_two_machines_equals_what_is_trained_on_one_bit_for_bit(
    s3, settings, tmp_path
):
    """Killed after its second checkpoint on the first, it goes on on the second; a third trains it whole."""
    settings.CONCORD_LEASE_SECONDS = 3600
    tiny_llama().save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    write_groups(tmp_path / "records", [judged_group(number) for number in range(16)])
    project = factories.project()
    facts = {
        "snapshot": factories.snapshot(project, folder=str(tmp_path / "records")),
        "base_model": factories.policy(project, location=str(tmp_path / "tiny")),
        "spec": {"kind": "reward_model", "groups_per_step": 2, "checkpoint_every": 1},
    }
    moved, whole = (factories.training_run(project, **facts) for _ in range(2))
    killed = Path(__file__).with_name("killed_trainer.py")
    command = settings.CONCORD_TRAINING_COMMAND
    settings.CONCORD_TRAINING_COMMAND = shlex.join([sys.executable, str(killed), "2"])
    execute_run(moved.pk)
    settings.CONCORD_TRAINING_COMMAND, settings.CONCORD_VAR = command, tmp_path / "two"
    execute_again(moved)
    assert (moved.status, moved.error) == ("done", "")
    assert steps(moved, "started") == [0, 2]

    settings.CONCORD_VAR = tmp_path / "three"
    execute_run(whole.pk)
    whole.refresh_from_db()
    assert steps(moved) == steps(whole) == [1, 2, 3, 4]
    assert weights(tmp_path / "two", moved) == weights(tmp_path / "three", whole)


def weights(var, run):
    return (var / "runs" / str(run.pk) / "artifact" / "model.safetensors").read_bytes()
