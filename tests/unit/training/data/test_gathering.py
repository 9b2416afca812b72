"""Rows in the formats of TRL become a snapshot folder; what cannot be taken is named, the rest is kept."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from annotation.datasets.query import SnapshotQuery
from training.__main__ import main
from training.data.gathering import Gathered, gather
from training.data.rows import RowRefused, Said, read_row
from training.spec.errors import DataError
from training.spec.records import MANIFEST_FILE, Group, Turn, read_groups
from training.spec.splits import split_key

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
ASKED = (Turn(role="user", content="Why?"),)
WHY, SO, NO = (
    {"role": role, "content": content}
    for role, content in (("user", "Why?"), ("assistant", "So."), ("assistant", "No."))
)
PREFERRED = Said(prompt=ASKED, chosen="So.", rejected="No.")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Why?", "chosen": "So.", "rejected": "No."}, PREFERRED),
        ({"prompt": [WHY], "chosen": [SO], "rejected": [NO]}, PREFERRED),
        ({"prompt": [WHY], "chosen": "So.", "rejected": "No."}, PREFERRED),
        ({"chosen": [WHY, SO], "rejected": [WHY, NO]}, PREFERRED),
        (
            {
                "chosen": "\n\nHuman: Why?\n\nAssistant: So.",
                "rejected": "\n\nHuman: Why?\n\nAssistant: No.",
            },
            PREFERRED,
        ),
        (
            {
                "prompt": "\n\nHuman: Why?\n\nAssistant:",
                "chosen": "So.",
                "rejected": "No.",
                "margin": 2,
                "soft_label": 0.75,
                "split": "test",
            },
            Said(prompt=ASKED, chosen="So.", rejected="No.", margin=2.0, favor=0.75, split="test"),
        ),
        (
            {"prompt": "Why?", "completion": "So.", "label": True},
            Said(prompt=ASKED, signaled="So.", is_accepted=True),
        ),
        (
            {"prompt": [WHY], "completion": [NO], "label": False},
            Said(prompt=ASKED, signaled="No."),
        ),
        ({"prompt": "Why?", "completion": "So."}, Said(prompt=ASKED, imitated="So.")),
        ({"messages": [WHY, SO]}, Said(prompt=ASKED, imitated="So.")),
        ({"prompt": "Why?"}, Said(prompt=ASKED)),
        (
            {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
            | {"chosen_is_finished": True, "rejected_is_finished": False},
            Said(prompt=ASKED, chosen="So.", rejected="No.", cut=("No.",)),
        ),
        (
            {"prompt": "Why?", "completion": "So", "label": True, "completion_is_finished": False},
            Said(prompt=ASKED, signaled="So", is_accepted=True, cut=("So",)),
        ),
        (
            {"messages": [WHY, SO], "completion_is_finished": False},
            Said(prompt=ASKED, imitated="So.", cut=("So.",)),
        ),
    ],
)
def test_what_a_row_says(row: dict[str, Any], said: Said) -> None:
    assert read_row(row) == said


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["Why?"], "It is ['Why?'], not an object"),
        ({}, "prompt is missing, not a text"),
        ({"prompt": " "}, "prompt is ' ', not a text"),
        ({"prompt": "Why?", "split": "dev"}, "split is 'dev', not one of train"),
        ({"prompt": "Why?", "chosen": "So.", "rejected": "So."}, "are the same text"),
        ({"prompt": "Why?", "chosen": "So."}, "rejected is missing"),
        ({"prompt": "Why?", "chosen": [SO, NO], "rejected": "No."}, "one answer of an assistant"),
        ({"prompt": [SO], "chosen": "So.", "rejected": "No."}, "does not end with what a user"),
        ({"prompt": [{"role": "tool", "content": ""}]}, "has the role 'tool', not one of system"),
        ({"prompt": [{"role": "user"}]}, "has the content null, not a text"),
        ({"chosen": "So.", "rejected": "No."}, "bare texts; name what they answer"),
        ({"chosen": [WHY, SO], "rejected": [NO]}, "do not begin with the same prompt"),
        ({"messages": [WHY]}, "one answer of an assistant"),
        ({"prompt": "Why?", "completion": "So.", "label": 1}, "label is 1, not true or false"),
        ({"prompt": "Why?", "chosen": "a", "rejected": "b", "margin": -1}, "margin is -1, not a"),
        ({"prompt": "Why?", "chosen": "a", "rejected": "b", "margin": 10**400}, "margin is 1000"),
        (
            {"prompt": "Why?", "chosen": "a", "rejected": "b", "soft_label": float("nan")},
            "soft_label is nan, not a number from 0 to 1",
        ),
        ({"prompt": "Why?", "completion": "\ud800"}, "half a character"),
        (
            {"prompt": "Why?", "completion": "So", "completion_is_finished": "no"},
            "completion_is_finished is 'no', not true or false",
        ),
    ],
)
def test_a_row_that_cannot_be_taken_says_why(row: object, reason: str) -> None:
    with pytest.raises(RowRefused, match=re.escape(reason)):
        read_row(row)


def gathered(folder: Path, rows: list[object]) -> tuple[Gathered, list[Group]]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    found = gather([folder / "rows.jsonl"], folder / "made", shares=SHARES, seed=17)
    return found, list(read_groups(folder / "made"))


def test_good_rows_are_kept_and_the_others_named_with_their_line(tmp_path: Path) -> None:
    good = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
    found, groups = gathered(tmp_path, ["{", good, "", [], {"messages": [WHY, SO]}])
    assert [one.partition(":")[0] for one in found.refused] == [
        "rows.jsonl, line 1",
        "rows.jsonl, line 4",
    ]
    assert (found.rows, found.pairs, found.demonstrations, len(groups)) == (2, 1, 1, 1)
    told = json.loads((tmp_path / "made" / MANIFEST_FILE).read_text())
    assert (told["rows"], told["refused"]) == (2, list(found.refused))


def test_rows_about_the_same_two_responses_are_votes(tmp_path: Path) -> None:
    """Three for one of them by 2, 1 and 0 steps, one for the other by 1: 3 of 4, (2 + 1 + 0 - 1) / 4 of a step."""
    rows = [
        {"prompt": "Why?", "chosen": chosen, "rejected": rejected, "margin": margin}
        for chosen, rejected, margin in (
            ("So.", "No.", 2),
            ("So.", "No.", 1),
            ("So.", "No.", 0),
            ("No.", "So.", 1),
        )
    ]
    _, [group] = gathered(tmp_path, rows)
    [pair] = group.pairs
    assert [group.text_of(name) for name in (pair.chosen, pair.rejected)] == ["So.", "No."]
    assert (pair.votes_chosen, pair.votes_rejected, pair.soft_label) == (3, 1, 0.75)
    assert (pair.margin, pair.is_tie) == (0.5, False)


def test_as_many_for_either_is_a_tie(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Why?", "chosen": chosen, "rejected": rejected}
        for chosen, rejected in (("So.", "No."), ("No.", "So."))
    ]
    _, [group] = gathered(tmp_path, rows)
    [pair] = group.pairs
    assert (pair.is_tie, pair.soft_label, pair.margin) == (True, 0.5, 0.0)


def test_signals_of_one_response_are_counted(tmp_path: Path) -> None:
    rows = [{"prompt": "Why?", "completion": "So.", "label": one} for one in (True, True, False)]
    _, [group] = gathered(tmp_path, rows)
    [signal] = group.signals
    assert (signal.accepted, signal.rejected) == (2, 1)


def test_a_response_is_cut_where_one_of_its_rows_says_so(tmp_path: Path) -> None:
    pair = {"prompt": "Why?", "chosen": "So", "rejected": "No."}
    rows = [pair, pair | {"chosen_is_finished": False}, {"prompt": "Why?", "completion": "So"}]
    _, [group] = gathered(tmp_path, rows)
    assert {one.text: one.is_finished for one in group.candidates} == {"So": False, "No.": True}
    assert [one.is_finished for one in group.demonstrations] == [False]


def test_prompts_are_dealt_as_in_snapshots_of_the_site(tmp_path: Path) -> None:
    _, groups = gathered(tmp_path, [{"prompt": f"Question {n}"} for n in range(100)])
    query = SnapshotQuery(seed=17)
    assert {one.split for one in groups} == {"train", "validation", "test"}
    assert all(one.split == query.split_of(split_key(one.prompt)) for one in groups)


def test_a_last_user_turn_has_one_split(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Why?", "split": "test"},
        {"prompt": [{"role": "system", "content": "Be kind."}, WHY]},
        {"prompt": "why? ", "split": "train"},
    ]
    found, groups = gathered(tmp_path, rows)
    assert {one.split for one in groups} == {"test"}
    [refused] = found.refused
    assert "split is 'train', but a row before it put" in refused


def test_the_order_of_files_and_rows_changes_nothing(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Question {n % 5}", "chosen": f"a{n}", "rejected": f"b{n}"} for n in range(20)
    ]
    plain, packed = tmp_path / "rows.jsonl", tmp_path / "rows.jsonl.gz"
    plain.write_text("".join(json.dumps(row) + "\n" for row in rows[:8]))
    with gzip.open(packed, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in reversed(rows[8:]))
    made = [
        gather(paths, tmp_path / name, shares=SHARES, seed=17).sha256
        for name, paths in (("one", [plain, packed]), ("other", [packed, plain]))
    ]
    assert made[0] == made[1]


def test_nothing_is_written_where_no_row_can_be_taken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"None of the 1 rows can be taken\. .*line 1: It is not"):
        gathered(tmp_path, ["nonsense"])
    assert [one.name for one in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["{folder}", "{rows}"], "is there already"),
        (
            ["{folder}/new", "{folder}/none.jsonl"],
            "none.jsonl cannot be read: No such file or directory.",
        ),
        (["{folder}/new", "{folder}/broken.gz"], "broken.gz cannot be read"),
        (["{folder}/new", "{folder}/spoiled.gz"], "spoiled.gz cannot be read"),
        (["{folder}/new", "{rows}", "--validation", "nan"], "shares begin at 0"),
        (["{folder}/new", "{rows}", "--test", "1"], "leave some for train"),
        (["{folder}/new", "{rows}", "--test", "-0.1"], "shares begin at 0"),
    ],
)
def test_the_command_refuses_with_a_sentence(
    words: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Why?"}')
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b nothing")
    spoiled = bytearray(gzip.compress(bytes(range(256)) * 9))
    spoiled[10:20] = b"\xff" * 10
    (tmp_path / "spoiled.gz").write_bytes(spoiled)
    assert main(["snapshot", *(one.format(folder=tmp_path, rows=rows) for one in words)]) == 1
    assert reason in capsys.readouterr().err


def test_a_reward_model_learns_from_rows_of_a_file(tmp_path: Path, tiny_folder: Path) -> None:
    rows = [
        {"prompt": f"Question {n}", "chosen": "very good", "rejected": "quite bad"}
        for n in range(48)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["snapshot", f"{tmp_path}/data", f"{tmp_path}/rows.jsonl"]) == 0
    settings = {"model": tiny_folder, "data": tmp_path / "data", "learning_rate": 0.01}
    words = [word for one in settings.items() for word in ("--set", "{}={}".format(*one))]
    assert main(["new", "reward_model", f"{tmp_path}/run", *words]) == 0
    assert main(["run", f"{tmp_path}/run"]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["metrics"]["accuracy"]["value"] == 1.0
