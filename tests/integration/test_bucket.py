"""Artifacts in a bucket: what one machine makes another uses, whole or not at all.

`make test` asks moto, which checks no signatures; `make test-bucket` asks OpenStack Swift.
"""

import hashlib
import json
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from annotation.core import bucket, storage
from annotation.core.bucket import Address, BucketFailed
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.selectors import folder_of
from annotation.datasets.services.requesting import request_snapshot
from annotation.generation.models import Candidate
from annotation.generation.services import request_candidates
from annotation.projects.models import Role
from annotation.runs.services import queue_run
from deploy.checks import bucket_is_named
from tests import factories
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers.datasets import build_snapshot
from workers.generation import generate_candidates
from workers.training import execute_run


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "weights").write_bytes(b"weights" * 1000)
    return folder


def test_a_folder_is_brought_to_another_machine_with_every_file(s3, model, settings, tmp_path):
    location = storage.share(model)
    assert location.startswith(f"s3://{s3.name}/team/folders/")
    settings.CONCORD_VAR = tmp_path / "two"
    found = Path(storage.local(location))
    assert found.is_relative_to(tmp_path / "two")
    assert (found / "deep" / "weights").read_bytes() == b"weights" * 1000
    assert storage.local(location) == str(found)


def test_the_machine_that_made_a_folder_brings_nothing(s3, model):
    location = storage.share(model)
    for key in s3.names():
        s3.client.delete_object(Bucket=s3.name, Key=key)
    assert (Path(storage.local(location)) / "config.json").read_text() == "{}"


def test_the_same_content_has_the_same_address_and_is_stored_once(s3, model):
    assert storage.share(model) == storage.share(model)
    assert len(s3.names()) == 3  # two files and their list


def test_a_damaged_object_is_refused_and_leaves_nothing_behind(s3, model, settings, tmp_path):
    location = storage.share(model)
    s3.put(f"team/folders/{location[-64:]}/config.json", b"{ }")
    settings.CONCORD_VAR = tmp_path / "two"
    with pytest.raises(BucketFailed, match="is damaged"):
        storage.local(location)
    assert list((tmp_path / "two" / "cache").iterdir()) == []


def test_a_folder_whose_upload_broke_off_is_not_there(s3, model, settings, tmp_path):
    location = storage.share(model)
    s3.client.delete_object(Bucket=s3.name, Key=f"team/folders/{location[-64:]}.json")
    settings.CONCORD_VAR = tmp_path / "two"
    with pytest.raises(BucketFailed, match="could not bring folders/"):
        storage.local(location)


@pytest.mark.parametrize("name", ["../stray", "/stray", "deep/../../stray"])
def test_a_list_that_leads_out_of_its_folder_is_refused(s3, settings, tmp_path, name):
    """Whoever may write to the bucket could make one, with the digest that its address names."""
    body = json.dumps({name: hashlib.sha256(b"stray").hexdigest()}, sort_keys=True).encode()
    sha256 = hashlib.sha256(body).hexdigest()
    s3.put(f"team/folders/{sha256}.json", body)
    s3.put(f"team/folders/{sha256}/{name}", b"stray")
    settings.CONCORD_VAR = tmp_path / "two"
    with pytest.raises(BucketFailed, match="was changed"):
        storage.local(f"s3://{s3.name}/team/folders/{sha256}")


def test_a_list_that_is_no_json_is_a_sentence(s3, settings, tmp_path):
    s3.put(f"team/folders/{'5' * 64}.json", b"<html>")
    settings.CONCORD_VAR = tmp_path / "two"
    with pytest.raises(BucketFailed, match="could not bring folders/5"):
        storage.local(f"s3://{s3.name}/team/folders/{'5' * 64}")


def test_an_imported_file_is_read_by_a_worker_on_another_machine(s3, settings, tmp_path):
    sha256, size = storage.write_artifact([b"one\n", b"two\n"])
    settings.CONCORD_VAR = tmp_path / "two"
    assert (size, storage.artifact_path(sha256).read_bytes()) == (8, b"one\ntwo\n")


def test_an_address_of_another_bucket_says_so(s3):
    with pytest.raises(BucketFailed, match="is not in the bucket of this installation"):
        storage.local(f"s3://elsewhere/folders/{'5' * 64}")


def test_without_a_bucket_nothing_changes(model, settings, tmp_path):
    settings.CONCORD_VAR = tmp_path
    assert storage.share(model) == str(model)
    assert storage.local("owner/name") == "owner/name"
    with pytest.raises(BucketFailed, match="CONCORD_BUCKET_URL is not set on this machine"):
        storage.local(f"s3://team/folders/{'5' * 64}")


def test_a_server_that_is_away_is_a_sentence(settings, tmp_path, model):
    settings.CONCORD_VAR = tmp_path
    settings.CONCORD_BUCKET_URL = "http://127.0.0.1:9/bucket"
    settings.CONCORD_BUCKET_ACCESS_KEY, settings.CONCORD_BUCKET_SECRET_KEY = "key", "secret"
    with pytest.raises(BucketFailed, match="its server did not answer"):
        storage.share(model)


@pytest.mark.parametrize(
    "url", ["s3://bucket", "https://host", "https://key:secret@host/bucket", "nonsense"]
)
def test_an_address_that_names_no_bucket_is_refused(url, settings):
    settings.CONCORD_BUCKET_URL = url
    with pytest.raises(ValueError, match="CONCORD_BUCKET_URL"):
        Address.of(url)
    assert [one.id for one in bucket_is_named(None)] == ["concord.E020"]


@pytest.mark.parametrize("url", ["https://key:secret@host", "ftp://key:secret@host/bucket"])
def test_a_refused_address_keeps_its_password_to_itself(url):
    with pytest.raises(ValueError, match="holds a password") as refusal:
        Address.of(url)
    assert "secret@" not in str(refusal.value)


def test_a_bucket_without_keys_is_refused_by_the_check(settings):
    settings.CONCORD_BUCKET_URL = "https://s3.example.org/concord"
    assert [one.id for one in bucket_is_named(None)] == ["concord.E021", "concord.E021"]


def test_the_check_tries_the_bucket_and_leaves_nothing(s3, settings):
    call_command("check", "--deploy", "--tag", "storage")
    assert s3.names() == []
    settings.CONCORD_BUCKET_URL = settings.CONCORD_BUCKET_URL.replace(s3.name, "no-such-bucket")
    with pytest.raises(SystemCheckError, match="NoSuchBucket"):
        call_command("check", "--deploy", "--tag", "storage")


@pytest.mark.slow
@pytest.mark.django_db
def test_three_machines_make_a_snapshot_train_on_it_and_ask_the_policy(s3, settings, tmp_path):
    """Each has its own folder; the database and the bucket are all that they share."""
    settings.CONCORD_LEASE_SECONDS = 3600
    tiny_llama().save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    project = factories.project()
    engineer = factories.member(project, Role.ENGINEER)
    for number in range(12):
        factories.judgment(factories.comparison(factories.prompt(project, f"Say {number}?")))
    snapshot = request_snapshot(project=project, name="first", query={}, actor=engineer)
    build_snapshot(snapshot.pk)
    snapshot = DatasetSnapshot.objects.get(pk=snapshot.pk)
    assert snapshot.folder.startswith("s3://")

    settings.CONCORD_VAR = tmp_path / "two"
    run = queue_run(
        project=project,
        spec={"kind": "sft", "max_response_tokens": 16},
        snapshot=snapshot,
        base_model=factories.policy(project, location=str(tmp_path / "tiny")),
        name="sft",
        actor=engineer,
    )
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.error == ""
    version = run.model_version
    assert version.location == f"{bucket.address().root}folders/{version.sha256}"

    settings.CONCORD_VAR = tmp_path / "three"
    asked = request_candidates(
        project=project,
        policy=run.model_version,
        per_prompt=1,
        max_prompts=2,
        max_tokens=8,
        actor=engineer,
    )
    generate_candidates(asked.pk)
    asked.refresh_from_db()
    assert (asked.error, Candidate.objects.filter(run=asked).exists()) == ("", True)
    assert folder_of(snapshot).is_relative_to(tmp_path / "three")
    assert bucket.address().root == f"s3://{s3.name}/team/"
