import json
from pathlib import Path

import pytest
import torch

from training.runtime.metrics import Reporter
from training.spec.events import EventKind


def events(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_every_event_is_a_flushed_line(tmp_path: Path) -> None:
    with Reporter(tmp_path) as reporter:
        reporter.log("Hello.", rows=3)
        assert events(tmp_path)[0]["data"] == {"message": "Hello.", "rows": 3}


def test_tensors_are_read_when_the_line_is_written_and_the_memory_is_told_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.runtime.metrics.peak_memory_mb", lambda: 1234.56)
    with Reporter(tmp_path) as reporter:
        reporter.metrics({"loss": torch.tensor(0.5), "rate": 0.25}, step=3)
    (event,) = events(tmp_path)
    assert (event["kind"], event["step"], event["data"]) == (
        "metrics",
        3,
        {"loss": 0.5, "rate": 0.25, "peak_memory": 1234.6},
    )


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    with Reporter(tmp_path) as reporter:
        reporter.say(EventKind.EVALUATION, {"ece": float("nan"), "band": (0.5, float("inf"))})
    assert events(tmp_path)[0]["data"] == {"ece": None, "band": [0.5, None]}


def test_a_torn_line_is_cut_and_the_next_is_whole(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"kind": "log"}\n{"kind": "met')
    with Reporter(tmp_path) as reporter:
        reporter.log("Again.")
    assert [event["kind"] for event in events(tmp_path)] == ["log", "log"]


def test_tracking_hands_items_on_and_says_how_many(tmp_path: Path) -> None:
    with Reporter(tmp_path) as reporter:
        found = list(reporter.track("abc", stage="letters", total=5, unit="letters", done=2))
    assert found == ["a", "b", "c"]
    assert events(tmp_path)[-1]["data"] == {
        "stage": "letters",
        "done": 5,
        "total": 5,
        "unit": "letters",
    }


def test_a_bar_shows_counts_and_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(tmp_path, has_bar=True) as reporter:
        list(reporter.track("abc", stage="letters", total=3, unit="letters"))
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize("has_bar", [True, False], ids=["a terminal", "a log"])
def test_a_person_at_a_terminal_reads_what_a_guard_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], has_bar: bool
) -> None:
    with Reporter(tmp_path, has_bar=has_bar) as reporter:
        reporter.guard("divergence", action="warn", message="The loss rose.", step=40)
    told = "Guard divergence (warn) at step 40: The loss rose.\n" if has_bar else ""
    assert capsys.readouterr().err == told
