"""Files of prompts: the good rows are kept, each bad one is listed with its line and the reason, nothing twice."""

import csv
import errno
import gzip
import io
import json
import os
import tracemalloc

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.comparisons.services.importing import run_any_import
from annotation.core.errors import InvalidInput, StorageFull
from annotation.core.storage import folder
from annotation.projects.models import Role
from annotation.prompts.models import Prompt, PromptImport
from annotation.prompts.readers.chats import RowForm, read_prompt
from annotation.prompts.readers.rows import RowRefused
from annotation.prompts.services import importing
from annotation.prompts.services.requesting import request_import
from tests import factories
from workers.imports import import_prompts

pytestmark = pytest.mark.django_db


def asked(payload: bytes, name="prompts.jsonl", project=None, **options) -> PromptImport:
    project = project or factories.project()
    actor = factories.member(project, Role.ADMIN)
    return request_import(project=project, chunks=[payload], filename=name, actor=actor, **options)


def take(payload: bytes, name="prompts.jsonl", project=None, **options) -> PromptImport:
    row = asked(payload, name, project, **options)
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    return row


def lines(*rows) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def counts(row: PromptImport) -> tuple[int, int, int]:
    return row.rows_created, row.rows_duplicate, row.rows_rejected


def reason(row: PromptImport, line: int) -> str:
    return row.rejected_rows.get(line=line).reason


GOOD = {"text": "Name a color."}


def test_a_prompt_is_taken_with_its_facts():
    facts = {"id": "q1", "category": "art", "tags": ["short"], "language": "en", "license": "MIT"}
    row = take(lines({**GOOD, **facts, "source": "me"}))
    prompt = Prompt.objects.get(project=row.project)
    assert prompt.turns == [{"role": "user", "content": "Name a color."}]
    assert (prompt.external_id, prompt.category, prompt.tags) == ("q1", "art", ["short"])
    assert (prompt.language, prompt.license, prompt.source) == ("en", "MIT", "me")


def test_the_same_prompt_is_stored_once_whatever_its_white_space():
    row = take(lines(GOOD, {"text": "Name a color.  \r\n"}, {"prompt": "Name a color."}))
    assert counts(row) == (1, 2, 0)


def test_the_same_file_again_creates_nothing():
    first = take(lines(GOOD))
    again = take(lines(GOOD), project=first.project)
    assert counts(again) == (0, 1, 0)


def test_an_id_that_names_two_prompts_is_refused_the_second_time():
    row = take(
        lines({"id": "x", "text": "One"}, {"id": "x", "text": "Two"}, {"id": "x", "text": "One"})
    )
    assert counts(row) == (1, 1, 1)
    assert "'x'" in reason(row, 2)


BAD_ROWS = {
    "an empty prompt": ({"text": "  "}, "text is empty"),
    "an empty chat": ({"messages": []}, "The chat is empty"),
    "a chat without turns": ({"conversations": [], "id": "x"}, "The chat is empty"),
    "a chat without a user turn": (
        {"messages": [{"role": "system", "content": "x"}]},
        "no user turn",
    ),
    "an unknown role": ({"messages": [{"role": "tool", "content": "x"}]}, "'tool'"),
    "an empty turn": ({"messages": [{"role": "user", "content": ""}]}, "empty"),
    "a turn that is a number": ({"messages": [3]}, "Turn 1"),
    "a picture in a turn": (
        {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
        "not text",
    ),
    "a NUL": ({"text": "a\0b"}, "NUL character at position 2"),
    "half a character": ({"text": "a\ud800"}, "U+D800"),
    "a megabyte": ({"text": "a" * 1_000_000}, "limit is 100,000"),
    "a column named NUL": ({"a\0\ud800": "x"}, "seen: 'a"),
    "unknown columns": ({"foo": "x", "bar": "y"}, "'bar', 'foo'"),
    "a list for a prompt": ({"text": ["a"]}, "text is a list, not text"),
    "an id as long as a page": ({**GOOD, "id": "x" * 300}, "300"),
    "tags that are a number": ({**GOOD, "tags": 7}, "tags"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_one_row_is_refused_and_the_others_kept_for(case):
    bad, words = BAD_ROWS[case]
    row = take(lines({"text": "Before"}, bad, {"text": "After"}))
    assert row.rows_created == 2, [one.reason for one in row.rejected_rows.all()]
    assert words in reason(row, 2)


@pytest.mark.parametrize("form", [RowForm.AUTO, RowForm.CHAT, RowForm.SHAREGPT])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": "Hello"}, "messages is text, not a list of turns."),
        ({"conversations": {"from": "human"}}, "conversations is an object, not a list of turns."),
    ],
)
def test_turns_that_are_no_list_are_named_by_their_column(form, row, said):
    with pytest.raises(RowRefused, match=f"^{said}$"):
        read_prompt(row, form)


def test_a_row_that_is_not_json_is_listed_with_its_line_and_how_it_begins():
    row = take(b'{"text": "One"}\n\n{"text": "Two\n[1]\n"x"\n{"text": "Five"}')
    assert counts(row) == (2, 0, 3)
    assert row.rejected_rows.get(line=3).excerpt == '{"text": "Two'
    assert "cannot be read as JSON" in reason(row, 3)
    assert "not an object" in reason(row, 4)


def test_a_byte_that_is_not_utf8_is_named_with_its_place():
    row = take(b'{"text": "One"}\n{"text": "caf\xe9"}')
    assert counts(row) == (1, 0, 1)
    assert "byte 0xE9 at position 14" in reason(row, 2)


def test_a_byte_in_csv_that_is_not_utf8_is_named_with_its_column():
    row = take(b"prompt,category\ncaf\xe9,food\ntea,food\n", "p.csv")
    assert counts(row) == (1, 0, 1)
    assert "prompt is not UTF-8: byte 0xE9 at position 4" in reason(row, 2)


def test_csv_keeps_lines_and_commas_inside_quotes_and_a_byte_order_mark_does_no_harm():
    row = take('\ufeffprompt;tags\n"Two\nlines; one";"a,b"\n'.encode(), "p.csv")
    prompt = Prompt.objects.get(project=row.project)
    assert prompt.turns[0]["content"] == "Two\nlines; one"
    assert prompt.tags == ["a", "b"]


def test_a_csv_row_over_several_lines_is_named_by_its_first():
    payload = b'prompt,tags\n"Two\nlines",a\n\n"Three\nmore\nlines",b,c\n,d\n"x"y\nz,e\n'
    row = take(payload, "p.csv")
    assert row.rows_created == 2
    assert list(row.rejected_rows.order_by("line").values_list("line", flat=True)) == [5, 8, 9]


def test_a_csv_row_with_too_many_fields_is_listed():
    row = take(b"prompt,category\na,b,c\nd,e\n", "p.csv")
    assert counts(row) == (1, 0, 1)
    assert "3 fields where the header names 2" in reason(row, 2)


def test_columns_that_are_not_used_are_named():
    row = take(b"prompt,mood\nHello,good\n", "p.csv")
    assert row.unused_columns == ["mood"]


def test_parquet_rows_with_nested_chats_are_taken():
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {"messages": [[{"role": "user", "content": f"Question {n}"}] for n in range(5)]}
    )
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=2)
    assert counts(take(file.getvalue(), "p.parquet")) == (5, 0, 0)


def test_a_json_array_over_many_lines_and_gzip_is_taken():
    rows = [
        {"conversations": [{"from": "human", "value": f"Q{n}"}, {"from": "gpt", "value": "A"}]}
        for n in range(3)
    ]
    row = take(gzip.compress(json.dumps(rows, indent=2).encode()), "share.json.gz")
    assert counts(row) == (3, 0, 0)
    assert [one.turns[-1]["role"] for one in Prompt.objects.filter(project=row.project)] == [
        "user"
    ] * 3


def test_a_dialogue_of_hh_becomes_turns_up_to_the_last_user_turn():
    row = take(
        lines({"chosen": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant: See you"})
    )
    turns = Prompt.objects.get(project=row.project).turns
    assert [(turn["role"], turn["content"]) for turn in turns] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Bye"),
    ]


BROKEN_FILES = {
    "a gzip that breaks off": (
        gzip.compress(lines(*[{"text": str(n)} for n in range(99)]))[:-9],
        "p.jsonl.gz",
        "gzip",
    ),
    "a Parquet file that is none": (b"PAR1 nothing", "p.parquet", "Parquet file cannot be read"),
    "Parquet under another name": (b"PAR1xxxx", "p.jsonl", "Parquet"),
    "an array that breaks off": (b'[{"text": "a"}, {"text": ', "p.json", "breaks after object 1"),
    "UTF-16": ('{"text": "a"}'.encode("utf-16"), "p.jsonl", "UTF-16"),
    "a header that doubles a column": (b"prompt,prompt\na,b\n", "p.csv", "more than once"),
    "a header and no rows": (b"prompt\n", "p.csv", "no rows"),
    "no row that can be taken": (lines({"foo": 1}), "p.jsonl", "No row of the file"),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_file_is_refused_whole_and_nothing_is_written_for(case):
    payload, name, words = BROKEN_FILES[case]
    row = asked(payload, name)
    with pytest.raises(InvalidInput, match=words):
        run_any_import(import_id=row.pk, progress=lambda *_told: None)
    assert not Prompt.objects.filter(project=row.project).exists()


def test_an_empty_file_and_an_unknown_ending_are_refused_before_anything_is_stored():
    with pytest.raises(InvalidInput, match="empty"):
        asked(b"")
    with pytest.raises(InvalidInput, match="ends in none of"):
        asked(b"x", "prompts.docx")
    assert not PromptImport.objects.exists()


def test_a_file_above_the_limit_of_the_server_is_refused(settings):
    settings.CONCORD_MAX_UPLOAD_BYTES = 10
    with pytest.raises(InvalidInput, match="larger than 10 bytes"):
        asked(lines(GOOD))


def test_a_full_disk_is_said_and_leaves_nothing_behind(monkeypatch):
    def no_room(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(StorageFull, match="disk is full"):
        asked(lines(GOOD))
    assert not PromptImport.objects.exists()
    assert not list(folder("artifacts").glob(".incoming-*"))


def test_a_row_above_the_limit_of_a_row_is_listed_and_the_next_taken(monkeypatch):
    from annotation.prompts.readers import files

    monkeypatch.setattr(files, "MAX_ROW_BYTES", 50)
    row = take(lines({"text": "a" * 60}, {"text": "b"}))
    assert counts(row) == (1, 0, 1)
    assert "longer than 50 bytes" in reason(row, 1)


@pytest.mark.django_db(transaction=True)
def test_the_task_ends_the_job_with_its_sentence():
    done, failed = asked(lines(GOOD)), asked(lines({"foo": 1}))
    import_prompts(done.pk)
    import_prompts(failed.pk)
    done.refresh_from_db()
    failed.refresh_from_db()
    assert (done.status, done.rows_created) == ("done", 1)
    assert failed.status == "failed"
    assert "No row of the file could be taken. Line 1" in failed.error


def peak_of(rows: int) -> int:
    """Bytes that the second reading takes at its peak; the database's own are the same for both."""
    row = asked(b"\n".join(b'{"text": "Prompt %d %s"}' % (n, b"x" * 400) for n in range(rows)))
    tracemalloc.start()
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_file(monkeypatch):
    monkeypatch.setattr(importing, "BATCH_ROWS", 100)
    peak_of(200)  # what is loaded once is loaded now
    assert peak_of(2_400) < 2 * peak_of(300)  # kept rows would make it eight times


def test_what_an_import_did_is_in_the_audit():
    row = take(lines(GOOD, {"foo": 1}))
    event = AuditEvent.objects.get(verb="import.finished", object_id=row.pk)
    assert event.data == {
        "rows_read": 2,
        "rows_created": 1,
        "rows_duplicate": 0,
        "rows_rejected": 1,
    }


def test_the_command_takes_a_file_without_a_worker(tmp_path, capsys):
    project, path = factories.project(), tmp_path / "p.jsonl"
    path.write_bytes(lines(GOOD, {"text": ""}))
    call_command("import_prompts", str(project.pk), str(path))
    told = capsys.readouterr().out
    assert "2 rows: 1 new, 0 already there, 1 rejected." in told
    assert "line 2: text is empty." in told
    assert PromptImport.objects.get(project=project).status == "done"


def test_the_command_says_what_is_wrong_with_a_file(tmp_path):
    project, path = factories.project(), tmp_path / "p.jsonl"
    path.write_bytes(lines({"foo": 1}))
    with pytest.raises(CommandError, match="No row of the file"):
        call_command("import_prompts", str(project.pk), str(path))
    assert PromptImport.objects.get(project=project).status == "failed"
    with pytest.raises(CommandError, match=r"There is no file .*/nofile\.$"):
        call_command("import_prompts", str(project.pk), str(tmp_path / "nofile"))


def test_prompts_are_searched_by_what_is_in_their_turns(client):
    row = take(lines({"text": "Über die Brücke"}, {"text": "Under the bridge"}))
    client.force_login(factories.member(row.project, Role.ENGINEER))
    page = client.get(reverse("prompts-list", args=[row.project_id]), {"search": "über"})
    assert "Über die Brücke" in page.content.decode()
    assert "Under the bridge" not in page.content.decode()


def upload(payload: bytes, name="p.jsonl") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, payload)


def test_the_api_takes_a_file_and_shows_what_became_of_it(api):
    project = factories.project()
    api.force_authenticate(factories.member(project, Role.ADMIN))
    url = reverse("api-import-list", args=[project.pk])
    answer = api.post(url, {"file": upload(lines(GOOD, {"foo": 1}))}, format="multipart")
    assert answer.status_code == 202, answer.json()
    run_any_import(import_id=answer.json()["id"], progress=lambda *_told: None)
    shown = api.get(reverse("api-import-detail", args=[project.pk, answer.json()["id"]])).json()
    assert (shown["rows_created"], shown["rows_rejected"]) == (1, 1)
    rejected = api.get(reverse("api-import-rejected", args=[project.pk, answer.json()["id"]]))
    assert rejected.json()["results"][0]["line"] == 2


def test_the_api_takes_rows_too(api):
    project = factories.project()
    api.force_authenticate(factories.member(project, Role.ADMIN))
    url = reverse("api-import-list", args=[project.pk])
    answer = api.post(url, {"rows": [GOOD]}, format="json")
    assert (answer.status_code, answer.json()["file_format"]) == (202, "jsonl")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "non_field_errors"),
        ({"rows": []}, "rows"),
        ({"rows": [3]}, "rows"),
        ({"rows": [GOOD], "contents": "cake"}, "contents"),
    ],
)
def test_the_api_names_the_field_that_is_wrong(api, body, field):
    project = factories.project()
    api.force_authenticate(factories.member(project, Role.ADMIN))
    answer = api.post(reverse("api-import-list", args=[project.pk]), body, format="json")
    assert answer.status_code == 400
    assert field in answer.json()["error"]["fields"]


def test_the_page_takes_a_file_and_lists_the_rejected_rows(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    new = reverse("prompts-import-new", args=[project.pk])
    sent = {"contents": "prompts", "row_form": "auto", "file": upload(lines(GOOD, {"foo": "=1+1"}))}
    answer = client.post(new, sent)
    row = PromptImport.objects.get(project=project)
    assert answer["Location"] == reverse("prompts-import", args=[project.pk, row.pk])
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    page = client.get(answer["Location"]).content.decode()
    assert "No column holds a prompt" in page


def test_no_cell_of_the_rejected_rows_acts_as_a_formula(client):
    project = factories.project()
    client.force_login(factories.member(project, Role.ADMIN))
    row = take(b"prompt,category\n=cmd(),b,c\nok,b\n", "p.csv", project)
    url = reverse("prompts-import-rejected", args=[project.pk, row.pk])
    text = b"".join(client.get(url).streaming_content).decode()
    assert list(csv.reader(io.StringIO(text)))[1][2] == "'=cmd(),b,c"
