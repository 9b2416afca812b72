"""Bad input of every kind, followed to whoever reads of it: the page, the API and the log.

Here: a broken file, wrong encoding, unknown columns, empty chats, a prompt of a megabyte, NUL,
doubled ids, a spec with a wrong value, a missing or corrupt model, one class, three rows, a full
disk, no memory, a diverging run. Each case in depth:

- files, rows and their limits: test_importing_prompts, test_importing_judgments
- bodies, queries and addresses of the API: test_hostile_input, test_api_fuzz
- every field of a spec: test_training_runs; on the command line: unit/training/test_command_line
- a snapshot without a usable pair, or on a full disk: test_snapshots, test_snapshot_pages
- a model's folder: test_model_registry, unit/training/models/test_loading
- a training process that dies unheard: test_training_worker, test_killed_worker
- a model that cannot answer: unit/workers/generators, test_generation_runs
"""

import errno
import gzip
import html
import json
import shutil

import pytest
import torch
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.db import OperationalError
from django.urls import reverse
from rest_framework.test import APIClient

import training.__main__ as command_line
from annotation.projects.models import Role
from annotation.prompts.models import Prompt, PromptImport
from annotation.runs.models import TrainingRun
from annotation.runs.services import resume_run
from tests import factories
from tests.integration.spoiling import (
    cut,
    lines,
    no_room_above,
    overflow,
    rewrite,
    three_rows,
    tied,
    with_head,
)
from tests.unit.training.conftest import judged_group, write_groups
from training.models import load
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers import training as worker
from workers.checkpoints import Carrier
from workers.imports import import_prompts
from workers.training import execute_run, run_folder

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_the_log(caplog, settings, tmp_path):
    """`in_the_log(words)`: whether a line of the log tells these words."""
    caplog.set_level("INFO")
    settings.CONCORD_VAR = tmp_path / "var"
    settings.CONCORD_LEASE_SECONDS = 3600  # the heartbeat's connection cannot see this transaction
    return lambda words: any(words in getattr(one, "sentence", "") for one in caplog.records)


@pytest.fixture
def person(project):
    user = factories.member(project, Role.ADMIN)
    project.memberships.create(user=user, role=Role.ENGINEER)
    return user


@pytest.fixture
def site(client, person):
    client.force_login(person)
    client.raise_request_exception = False
    return client


@pytest.fixture
def over_http(person):
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(person)
    return client


def text_of(answer) -> str:
    return html.unescape(answer.content.decode())


def sent(client, name, project, payload, filename):
    """What the page or the API answers to a file."""
    body = {"file": SimpleUploadedFile(filename, payload)}
    if name == "prompts-import-new":
        body |= {"contents": "prompts", "row_form": "auto"}
        return client.post(reverse(name, args=[project.pk]), body)
    return client.post(reverse(name, args=[project.pk]), body, format="multipart")


GOOD = {"text": "Name a color."}
BROKEN_FILES = {
    "damaged gzip": (gzip.compress(lines(GOOD) * 99)[:-9], "p.jsonl.gz", "gzip file breaks off"),
    "no Parquet": (b"PAR1 nothing", "p.parquet", "The Parquet file cannot be read after row 0"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), "p.jsonl", "UTF-16; save it as UTF-8."),
    "unknown columns": (
        b"mood,color\ngood,red\n",
        "p.csv",
        "No column holds a prompt; seen: 'color'",
    ),
    "half an array": (b'[{"text": "a"}, {"text', "p.json", "breaks after object 1"),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_file_that_cannot_be_read_is_told_everywhere_and_nothing_is_taken(
    case, project, site, over_http, in_the_log
):
    payload, filename, words = BROKEN_FILES[case]
    url = sent(site, "prompts-import-new", project, payload, filename).url
    row = PromptImport.objects.get()
    import_prompts(row.pk)
    shown = over_http.get(reverse("api-import-detail", args=[project.pk, row.pk])).json()
    assert (shown["status"], words in shown["error"]) == ("failed", True), shown["error"]
    assert words in text_of(site.get(url))
    assert in_the_log(words)
    assert not Prompt.objects.exists()


BAD_ROWS = {
    "an empty chat": ({"messages": []}, "The chat is empty"),
    "a megabyte": ({"text": "a" * 1_000_000}, "text has 1,000,000 characters; the limit is"),
    "a NUL": ({"text": "a\0b"}, "NUL character at position 2"),
    "a doubled id": ({"id": "q1", "text": "Another."}, "'q1' names another prompt already"),
    "unknown columns": ({"mood": "good"}, "No column holds a prompt; seen: 'mood'"),
}


def test_bad_rows_are_listed_on_the_page_and_in_the_api_and_the_good_ones_kept(
    project, site, over_http
):
    bad = [row for row, _ in BAD_ROWS.values()]
    latin = b'\n{"text": "caf\xe9"}\n'
    payload = lines({"id": "q1", **GOOD}, *bad) + latin + lines({"text": "After."})
    url = sent(site, "prompts-import-new", project, payload, "p.jsonl").url
    row = PromptImport.objects.get()
    import_prompts(row.pk)
    rejected = over_http.get(reverse("api-import-rejected", args=[project.pk, row.pk])).json()
    reasons = {one["line"]: one["reason"] for one in rejected["results"]}
    seen = text_of(site.get(url))
    words = [words for _, words in BAD_ROWS.values()] + ["byte 0xE9 at position 14 is not UTF-8"]
    for line, expected in enumerate(words, start=2):
        assert expected in reasons[line]
        assert expected in seen
    assert sorted(one.turns[0]["content"] for one in Prompt.objects.all()) == [
        "After.",
        GOOD["text"],
    ]


UPLOADS_REFUSED = {
    "no known ending": (b"x", "prompts.docx", "ends in none of"),
    "too large": (b"x" * 200, "p.jsonl", "larger than 100 bytes"),
    "empty": (b"", "p.jsonl", "Choose a file with at least one row."),
}


@pytest.mark.parametrize("case", UPLOADS_REFUSED)
def test_an_upload_that_is_refused_is_refused_at_its_field(
    case, project, site, over_http, settings
):
    settings.CONCORD_MAX_UPLOAD_BYTES = 100
    payload, filename, words = UPLOADS_REFUSED[case]
    answer = sent(over_http, "api-import-list", project, payload, filename)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["fields"]["file"][0]
    form = sent(site, "prompts-import-new", project, payload, filename)
    assert form.status_code == 400
    assert words in form.context["form"].errors["file"][0]
    assert not PromptImport.objects.exists()


def psycopg_says(sqlstate: str) -> OperationalError:
    error = OperationalError("could not extend file")
    error.__cause__ = type("Said", (Exception,), {"sqlstate": sqlstate})()
    return error


SHORTAGES = {
    "disk": (OSError(errno.ENOSPC, "No space left on device"), 507, "disk is full"),
    "memory": (MemoryError(), 503, "ran out of memory"),
    "disk of the database": (psycopg_says("53100"), 507, "disk is full"),
    "memory of the database": (psycopg_says("53200"), 503, "ran out of memory"),
}


@pytest.mark.parametrize("case", SHORTAGES)
def test_a_server_without_room_for_an_upload_says_so(
    case, project, site, over_http, settings, monkeypatch
):
    error, status, words = SHORTAGES[case]

    def fail(*_: object) -> None:
        raise error

    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    monkeypatch.setattr(TemporaryFileUploadHandler, "receive_data_chunk", fail)
    answer = sent(over_http, "api-import-list", project, lines(GOOD), "p.jsonl")
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True)
    answer = sent(site, "prompts-import-new", project, lines(GOOD), "p.jsonl")
    assert (answer.status_code, words in text_of(answer)) == (status, True)
    assert not PromptImport.objects.exists()


def test_a_spec_with_a_wrong_value_is_refused_at_its_field_and_logged(
    project, over_http, in_the_log
):
    body = {
        "name": "Wrong",
        "spec": {"kind": "reward_model", "learning_rate": 7},
        "snapshot": factories.snapshot(project).pk,
        "base_model": factories.policy(project).pk,
    }
    answer = over_http.post(reverse("api-run-list", args=[project.pk]), body, format="json")
    assert answer.status_code == 400
    assert "7.0 is outside" in answer.json()["error"]["fields"]["learning_rate"][0]
    assert in_the_log("learning_rate: 7.0 is outside")
    assert not TrainingRun.objects.exists()


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def model(tiny_model, tmp_path):
    """A folder with the tiny model, to be spoilt."""
    return shutil.copytree(tiny_model, tmp_path / "model")


@pytest.fixture
def records(tmp_path):
    """A snapshot's folder with eight prompts, to be spoilt."""
    write_groups(tmp_path / "records", [judged_group(4 * number) for number in range(8)])
    return tmp_path / "records" / "groups.jsonl"


@pytest.fixture
def run(project, model, records, monkeypatch):
    """A run whose worker trains in this process, with the real trainer."""

    def train_here(run: TrainingRun, folder, job, carrier: Carrier) -> int:
        return command_line.main(["resume", str(folder)])

    monkeypatch.setattr(worker, "train", train_here)
    return factories.training_run(
        project,
        spec={"kind": "reward_model", "groups_per_step": 4, "max_steps": 2, "checkpoint_every": 1},
        snapshot=factories.snapshot(project, folder=str(records.parent)),
        base_model=factories.policy(project, location=str(model)),
    )


@pytest.fixture
def assert_failed(project, site, over_http, in_the_log):
    """The run has failed with these words in page, API and log, and left nothing half-written."""

    def look(run: TrainingRun, words: str) -> None:
        shown = over_http.get(reverse("api-run-detail", args=[project.pk, run.pk])).json()
        assert (shown["status"], words in shown["error"]) == ("failed", True), shown["error"]
        assert words in text_of(site.get(reverse("runs-detail", args=[project.pk, run.pk])))
        assert in_the_log(words)
        assert shown["model_version"] is None
        assert not (run_folder(run.pk) / "artifact").exists()
        assert not list(run_folder(run.pk).rglob(".*.draft"))

    return look


BAD_MODELS = {
    "no folder": (shutil.rmtree, "is not there. Bring it back, or choose another model."),
    "no config": (lambda model: (model / "config.json").unlink(), "There is no model in"),
    "no weights": (lambda model: (model / "model.safetensors").unlink(), "Copy the model again"),
    "half the weights": (lambda model: cut(model / "model.safetensors", -99), "is corrupt or of"),
    "half a config": (lambda model: cut(model / "config.json", 40), "is not a valid JSON file"),
    "an odd config": (
        lambda model: (model / "config.json").write_text(
            '{"model_type": "llama", "hidden_size": "wide"}'
        ),
        "hidden_size",
    ),
    "an odd tokenizer": (
        lambda model: (model / "tokenizer.json").write_text("{}"),
        "could not be loaded: it lacks 'added_tokens'. Copy the model again",
    ),
    "damaged numbers": (overflow, "no longer finite at step 1. Lower learning_rate"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_a_model_that_is_missing_corrupt_or_diverges_fails_the_run(case, run, model, assert_failed):
    spoil, words = BAD_MODELS[case]
    spoil(model)
    execute_run(run.pk)
    assert_failed(run, words)


BAD_REWARDS = {
    "no folder": (shutil.rmtree, "is not there. Bring it back, or choose another model."),
    "no score head": (lambda _: None, "has no head that scores (score.weight): it is a policy"),
    "damaged numbers": (
        lambda folder: (with_head(folder), overflow(folder)),
        "The reward model gave a score that is not finite; train it again.",
    ),
}


@pytest.mark.parametrize("case", BAD_REWARDS)
def test_a_reward_model_that_cannot_score_fails_the_run_of_ppo(
    case, run, tiny_model, tmp_path, assert_failed
):
    spoil, words = BAD_REWARDS[case]
    folder = shutil.copytree(tiny_model, tmp_path / "reward")
    spoil(folder)
    run.reward_model = factories.policy(run.project, kind="reward", location=str(folder))
    run.kind, run.spec = "ppo", {"kind": "ppo", "updates": 1, "max_response_tokens": 8}
    run.save()
    execute_run(run.pk)
    assert_failed(run, words)


BAD_RECORDS = {
    "three rows": (three_rows, "has 6 decided pairs to train on; at least 8"),
    "one class: ties": (lambda path: rewrite(path, tied), "has 0 decided pairs to train on"),
    "half a file": (lambda path: cut(path, -40), "Line 8 of"),
    "wrong encoding": (
        lambda path: path.write_bytes(path.read_bytes().replace(b"Say", b"Sa\xe9")),
        "Line 1 of",
    ),
    "a text that is none": (
        lambda path: rewrite(path, lambda _: {"demonstrations": [None]}),
        "None stands where a text belongs",
    ),
    "a weight that is none": (
        lambda path: rewrite(path, lambda row: {"pairs": [row["pairs"][0] | {"weight": "x"}]}),
        "'x' stands where a number belongs",
    ),
}


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_records_that_teach_nothing_or_are_damaged_fail_the_run(case, run, records, assert_failed):
    spoil, words = BAD_RECORDS[case]
    spoil(records)
    execute_run(run.pk)
    assert_failed(run, words)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["host", "device", "torch on the host"],
)
def test_memory_that_ends_while_the_model_is_loaded_is_not_called_corruption(
    error, run, assert_failed, monkeypatch
):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(load.AutoModelForSequenceClassification, "from_pretrained", fail)
    execute_run(run.pk)
    assert_failed(run, "needs more memory than there is")


def test_a_run_on_a_full_disk_leaves_nothing_half_written_and_is_resumed_to_its_end(
    run, person, assert_failed
):
    with no_room_above(30_000):
        execute_run(run.pk)
    assert_failed(run, "The disk is full. Free some space, then resume")
    resume_run(run=TrainingRun.objects.get(pk=run.pk), actor=person)
    execute_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.model_version is not None) == ("done", True)
