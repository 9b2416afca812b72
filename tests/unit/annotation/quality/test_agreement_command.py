"""`manage.py agreement`: the report of a file, and clear refusals, without a database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


@pytest.fixture
def ratings(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(
        "item,labeler,label\n1,ann,a\n1,bob,a\n2,ann,b\n2,bob,a\n3,ann,b\n3,bob,b\n4,ann\n"
    )
    return path


def test_it_prints_the_report_as_json(ratings, capsys):
    call_command("agreement", str(ratings), "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown["percent_agreement"]["value"] == pytest.approx(2 / 3)
    assert shown["cohen_kappa"]["value"] == pytest.approx(0.4)
    assert shown["rejected"] == [
        {"line": 8, "reason": "The row has 2 fields where the header has 3."}
    ]


def test_it_prints_a_table_for_people(ratings, capsys):
    call_command("agreement", str(ratings), "--level", "ordinal", "--scale", "a,tie,b")
    shown = capsys.readouterr().out
    assert "Krippendorff's alpha (ordinal)" in shown
    assert "scale (declared): a, tie, b" in shown
    assert "line 8" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "There is no file nowhere.csv"),
        (["{ratings}", "--level", "best"], "There is no level 'best'"),
        (["{ratings}", "--scale", "a,a"], "each label once"),
        (["{ratings}", "--scale", "x,y"], "no row that can be used"),
        (["{folder}"], "cannot be read"),
        (["{folder}/bare.csv"], "no column item"),
    ],
)
def test_it_refuses_with_a_sentence(ratings, arguments, message):
    (ratings.parent / "bare.csv").write_text("a,b\n1,2\n")
    filled = [text.format(ratings=ratings, folder=ratings.parent) for text in arguments]
    with pytest.raises(CommandError, match=message):
        call_command("agreement", *filled)


@pytest.fixture
def shell(tmp_path):
    """`manage.py` in a process of its own, with an empty folder for what it keeps."""
    environment = {**os.environ, "CONCORD_VAR": str(tmp_path / "var")}
    environment.pop("DATABASE_URL", None)

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, Path(__file__).parents[4] / "manage.py", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_runs_from_the_shell_and_starts_no_database(ratings, shell, tmp_path):
    ran = shell("agreement", ratings, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["items"] == 3
    assert not (tmp_path / "var" / "postgres").exists()


def test_help_of_a_command_starts_no_database(shell, tmp_path):
    ran = shell("demo", "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "--data" in ran.stdout
    assert not (tmp_path / "var" / "postgres").exists()
