"""Rows as CSV: what a reader of CSV gets back is what was written, and `csv.writer` would write the same."""

import csv
import io

import pytest

from annotation.datasets.services.files import csv_lines

CELLS = (
    "plain",
    "a, b",
    'said "no"',
    "two\nlines",
    "two\r\nlines",
    "old\rMac",
    " ",
    '"',
    "é, ü",
    "a;b\tc",
)
ROWS = [{"text": cell, "rest": rest} for cell, rest in zip(CELLS, (*CELLS[1:], ""), strict=True)]
COLUMNS = (("text", "text"), ("rest", "text"))


def written(rows, *, is_inert=False):
    return b"".join(csv_lines(iter(rows), COLUMNS, is_inert=is_inert)).decode()


def test_cells_are_quoted_where_csv_needs_it_and_nowhere_else():
    expected = io.StringIO(newline="")
    csv.writer(expected).writerows([["text", "rest"], *map(dict.values, ROWS)])
    assert written(ROWS) == expected.getvalue()


@pytest.mark.parametrize("rows", [49, 50, 51])
def test_all_rows_are_written_however_many_there_are(rows):
    lines = written([{"text": str(number), "rest": "a,b"} for number in range(rows)]).splitlines()
    assert lines == ["text,rest", *(f'{number},"a,b"' for number in range(rows))]


def test_what_is_no_text_is_a_number_as_it_is_json_or_nothing():
    rows = [
        {"text": -1, "rest": None},
        {"text": 0.5, "rest": True},
        {"text": [1], "rest": {"a": 2}},
    ]
    assert written(rows, is_inert=True) == 'text,rest\r\n-1,\r\n0.5,true\r\n[1],"{""a"": 2}"\r\n'


@pytest.mark.parametrize(("is_inert", "cell"), [(True, "'=1+1"), (False, "=1+1")])
def test_a_formula_is_text_where_people_open_the_table(is_inert, cell):
    assert written([{"text": "=1+1"}], is_inert=is_inert) == f"text,rest\r\n{cell},\r\n"
