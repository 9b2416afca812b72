"""Files that mean harm, for every reader: the import ends, lists what it refuses, and keeps the rows that are good."""

import copy
import gzip
import json
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.comparisons.services.importing import run_any_import
from annotation.core.errors import InvalidInput
from annotation.core.text import from_inert, inert
from annotation.projects.models import Role
from annotation.prompts.models import Prompt, PromptImport
from annotation.prompts.readers import files
from annotation.prompts.services.requesting import request_import
from tests import factories

pytestmark = pytest.mark.django_db
Contents = PromptImport.Contents

CHAT = [{"role": "user", "content": "Name a color."}]
PAIR = {"prompt": "Q?", "response_a": "first", "response_b": "second"}
ROWS = {
    "prompts": ("prompts", {"id": "q", "text": "Hi", "tags": ["x"], "language": "en"}),
    "chats": ("prompts", {"messages": CHAT}),
    "sharegpt": ("prompts", {"conversations": [{"from": "human", "value": "Hi"}]}),
    "trl": ("preferences", {"prompt": "Q?", "chosen": "a", "rejected": "b", "margin": 2}),
    "hh": (
        "preferences",
        {"chosen": "\n\nHuman: Q\n\nAssistant: a", "rejected": "\n\nHuman: Q\n\nAssistant: b"},
    ),
    "ranked": ("preferences", {"prompt": "Q?", "responses": ["a", "b"], "ranks": [1, 2]}),
    "labels": ("judgments", {**PAIR, "labeler": "ann", "label": "a", "strength": 2}),
    "wide": ("judgments", {**PAIR, "annotator1": "a", "labels": {"bo": 1}}),
    "votes": (
        "judgments",
        {
            "prompt": CHAT,
            "responses": [{"text": "a", "model": "m"}, {"text": "b", "model": ""}],
            "ranking": [[0], [1]],
            "strengths": [2],
            "criteria": {"honest": {"ranking": [[0, 1]], "strengths": []}},
            "marks": [{"response": 0, "start": 0, "end": 1, "kind": "wrong"}],
            "shown_order": [1, 0],
            "labeler": "ann",
            "judged_at": "2026-01-02T03:04:05Z",
            "active_ms": 12,
            "guideline_version": 3,
        },
    ),
    "label studio": (
        "judgments",
        {
            "data": {"prompt": "Q?", "answer1": "a", "answer2": "b"},
            "annotations": [
                {
                    "completed_by": {"email": "ann"},
                    "created_at": "2026-01-02T03:04:05Z",
                    "result": [{"type": "pairwise", "value": {"selected": "left"}}],
                }
            ],
        },
    ),
    "argilla": (
        "judgments",
        {
            "fields": {"prompt": "Q?", "response-1": "a", "response-2": "b"},
            "responses": [
                {
                    "user_id": "u",
                    "values": {
                        "ranking": {
                            "value": [
                                {"value": "response-1", "rank": 1},
                                {"value": "response-2", "rank": 2},
                            ]
                        }
                    },
                }
            ],
        },
    ),
    "oasst": (
        "judgments",
        {
            "prompt": {
                "text": "Q?",
                "role": "prompter",
                "replies": [
                    {"text": "a", "role": "assistant", "rank": 0},
                    {"text": "b", "role": "assistant", "rank": 1},
                ],
            }
        },
    ),
    "tulu": (
        "judgments",
        {
            "prompt": "Q?",
            "completion_a": "a",
            "completion_b": "b",
            "model_a": "m",
            "model_b": "n",
            "preference": "tie",
            "evaluator": "ann",
        },
    ),
    "wmt": (
        "judgments",
        {
            "source_text": "Q?",
            "system1Id": "s",
            "system1rank": 1,
            "system1Text": "a",
            "system2Id": "t",
            "system2rank": 2,
            "system2Text": "b",
            "judgeID": "ann",
        },
    ),
    "groups": (
        "judgments",
        {
            "prompt_id": "p",
            "prompt": CHAT,
            "candidates": [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}],
            "pairs": [{"chosen": "a", "rejected": "b", "votes_chosen": 1.0, "margin": 2.0}],
            "unacceptable": ["a", "b"],
        },
    ),
    "signals": ("signals", {"prompt": "Q?", "response": "x", "accepted": 1, "labeler": "u"}),
    "comparisons": ("comparisons", {"prompt": "Q?", "responses": ["a", {"text": "b"}]}),
    "demonstrations": ("demonstrations", {"prompt": "Q?", "completion": "x"}),
}
DEEP = json.loads("[" * 400 + "]" * 400)
HOSTILE = [
    "a\0b",
    "\ud800",
    "x" * 200_000,
    "\u202e=cmd()\r\n\t\\",
    10**4_000,
    -1,
    1e308,
    float("nan"),
    None,
    "",
    True,
    DEEP,
    {"a": {"b": [DEEP]}},
    [[[]]],
    "0001-01-01T00:00:00+23:59",
    "9" * 4_000,
]


def parts_of(value):
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def spoiled(value):
    """The value with each of its leaves, and each of its lists and objects, replaced by each hostile value."""
    yield from HOSTILE
    for key, part in parts_of(value):
        for bad in spoiled(part):
            other = copy.copy(value)
            other[key] = bad
            yield other


def taken(payload, contents, name="rows.jsonl", **more) -> PromptImport:
    project = factories.project()
    row = request_import(
        project=project,
        chunks=[payload],
        filename=name,
        actor=factories.member(project, Role.ADMIN),
        contents=Contents(contents),
        **more,
    )
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("form", ROWS)
def test_no_value_of_a_row_breaks_the_reader_of(form):
    contents, good = ROWS[form]
    rows = [row for row in spoiled(good) if isinstance(row, dict)]
    lines = [json.dumps(row).encode() for row in (good, *rows)]
    row = taken(b"\n".join(lines), contents)
    assert row.rows_read == len(lines)
    assert row.rows_created + row.rows_duplicate + row.rows_rejected == row.rows_read
    assert row.rows_rejected > 10
    assert not row.rejected_rows.filter(line=1).exists()


GOOD = json.dumps({"text": "Good?"}).encode()
BAD_LINES = {
    "a line of ten megabytes": b'{"text": "' + b"x" * 10_000_000 + b'"}',
    "a NUL byte": b'{"text": "a\0b"}',
    "an escaped NUL": b'{"text": "a\\u0000b"}',
    "Latin-1": '{"text": "Grün"}'.encode("latin-1"),
    "nesting": b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a huge number": b'{"text": ' + b"9" * 100_000 + b"}",
    "half a line": b'{"text": "a',
    "what pandas writes for nothing": b'{"text": NaN}',
    "an infinite number": b'{"text": 1e999}',
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_line_is_refused_and_the_next_taken_after(case):
    row = taken(BAD_LINES[case] + b"\n" + GOOD, "prompts")
    assert (row.rows_created, row.rows_rejected) == (1, 1)
    assert row.rejected_rows.get().line == 1


WHOLE = {
    "UTF-16": ("rows.jsonl", '{"text": "a"}'.encode("utf-16"), "UTF-16"),
    "a ZIP archive": ("rows.jsonl", b"PK\x03\x04rest", "ZIP"),
    "gzip by its name alone": ("rows.jsonl.gz", b"\x81\x3a\x00\x9f", "no gzip file"),
    "an array in Latin-1": ("rows.json", '[{"text": "Grün"}]'.encode("latin-1"), "UTF-8"),
    "UTF-16 without a mark": ("rows.csv", "text\na\n".encode("utf-16-le"), "UTF-16"),
    "an array in UTF-16": ("rows.json", '[{"text": "a"}]'.encode("utf-16-be"), "UTF-16"),
    "one object over lines": ("rows.json", b'{\n  "data": []\n}', "each row in one line"),
    "gzip in gzip": ("rows.csv.gz", gzip.compress(gzip.compress(b"text\na\n")), "packed twice"),
    "a quote left open": (
        "rows.csv",
        b'text,source\na,b\n"c,d\ne,f\n',
        "quote that opens in line 3",
    ),
    "a field of ten megabytes": (
        "rows.csv",
        b'text\ngood\n"' + (b"x" * 99 + b"\n") * 100_000 + b'"\nafter\n',
        "begins in line 3 is longer than",
    ),
    "an object of ten megabytes": (
        "rows.json",
        b'[{"text": "a"}, {"text": "' + b"x" * 10_000_000 + b'"}]',
        "Object 2 of the array is longer than",
    ),
    "an object nested deeply": (
        "rows.json",
        b'[{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        "Object 1 of the array cannot be read: it is nested too deeply",
    ),
    "a gzip file cut off": ("rows.jsonl.gz", gzip.compress(GOOD * 999)[:-9], "breaks off"),
    "two arrays": ("rows.json", b'[{"text": "a"}]\n[{"text": "b"}]', "the end of the JSON array"),
    "CSV of old Macs": ("rows.csv", b"text\ra\rb\r", "line ends"),
    "Parquet that is none": ("rows.parquet", b"PAR1" + b"\0" * 99 + b"PAR1", "Parquet"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_file_is_refused_whole_that_is(case):
    name, payload, words = WHOLE[case]
    with pytest.raises(InvalidInput, match=words):
        taken(payload, "prompts", name)
    assert not Prompt.objects.exists()


@pytest.mark.parametrize("case", ["nesting", "a huge number"])
def test_a_reason_speaks_of_the_row_and_not_of_python(case):
    reason = taken(BAD_LINES[case] + b"\n" + GOOD, "prompts").rejected_rows.get().reason
    assert "recursion" not in reason
    assert "sys." not in reason


def test_a_header_of_half_a_million_columns_is_refused_within_a_request():
    names = b",".join(b"c%d" % number for number in range(400_000))
    with pytest.raises(InvalidInput, match="No row of the file"):
        taken(names + b"\n" + names + b"\n", "prompts", "rows.csv")


def test_a_gzip_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(files, "FREELY_UNPACKED", 1_000_000)
    with pytest.raises(InvalidInput, match="unpacks to more than"):
        taken(gzip.compress((b" " * 99 + b"\n") * 100_000), "prompts", "rows.jsonl.gz")


def test_a_parquet_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(files, "LARGEST_ROW_GROUP", 1_000_000)
    file = BytesIO()
    texts = ["x" * 3_000_000, "y" * 3_000_000]
    pq.write_table(pa.table({"text": texts}), file, compression="zstd", use_dictionary=False)
    assert file.tell() < 10_000
    with pytest.raises(InvalidInput, match="row group"):
        taken(file.getvalue(), "prompts", "rows.parquet")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-a", "@x", "\t=1", "'=1", "''-1", "'a", "a=1", ""])
def test_a_cell_is_no_formula_and_comes_back(text):
    cell = inert(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert from_inert(cell) == text
