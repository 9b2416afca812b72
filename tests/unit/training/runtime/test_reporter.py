import json
from io import StringIO
from pathlib import Path

import pytest
import torch

from training.runtime.log_lines import log_line
from training.runtime.metrics import Reporter
from training.runtime.plain_lines import PlainLines
from training.spec.events import Event, EventKind


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


@pytest.mark.parametrize("has_bar", [True, False], ids=["a terminal", "a worker"])
def test_a_person_at_a_terminal_reads_the_numbers_of_some_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], has_bar: bool
) -> None:
    """Of 45 the first, then every third, and the last; a look at held-out records whenever it is."""
    with Reporter(tmp_path, has_bar=has_bar) as reporter:
        for step in reporter.track(range(45), stage="DPO", total=45, unit="steps"):
            looked = {"held_out_loss": 0.75} if step + 1 == 9 else {}
            numbers = {"tokens_seen": 3.0, "learning_rate": 1e-5, "loss": 0.5}
            reporter.metrics(numbers | looked, step=step + 1)
    told = [one for one in capsys.readouterr().err.splitlines() if " of 45: " in one]
    numbers_told = [int(one.split()[1]) for one in told]
    assert numbers_told == ([1, 4, 7, 9, *range(12, 46, 3)] if has_bar else [])
    if has_bar:
        assert told[0] == "Step 1 of 45: loss 0.5, learning rate 1e-05"
        assert told[3] == "Step 9 of 45: loss 0.5, held out loss 0.75, learning rate 1e-05"


@pytest.mark.parametrize("has_bar", [True, False], ids=["a terminal", "a worker"])
def test_a_person_at_a_terminal_reads_the_log_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], has_bar: bool
) -> None:
    with Reporter(tmp_path, has_bar=has_bar) as reporter:
        for _ in range(2):
            reporter.log("It runs as padded rows.")
            reporter.log("The pairs are read.", pairs_used=6400, prompts_cut=2)
        reporter.log("The pairs are read.", pairs_used=31)
    told = (
        "It runs as padded rows.\n"
        "The pairs are read: pairs used 6,400, prompts cut 2.\n"
        "The pairs are read: pairs used 31.\n"
    )
    assert capsys.readouterr().err == (told if has_bar else "")
    assert len(events(tmp_path)) == 5


def test_a_line_of_the_log_says_nothing_twice() -> None:
    """The count is in the message, a time is for the events, and a reason ends with one period."""
    answered = {"message": "Answers: 1,600 in 3.2 s.", "answers": 1600, "seconds": 3.217}
    assert log_line(answered) == "Answers: 1,600 in 3.2 s."
    failed = {"message": "wandb failed.", "tracker": "wandb", "reason": "OSError: It is full."}
    assert log_line(failed) == "wandb failed: OSError: It is full."


def test_without_a_terminal_plain_lines_tell_rate_and_time_left() -> None:
    """12 s a step: a line once 30 s have passed since the last one, and where a stage ends."""
    out = StringIO()
    lines = PlainLines(out)
    for done in range(1, 10):
        lines.hear(progress("fine-tuning", done, 9, "steps", at=12.0 * done))
    lines.hear(progress("held-out answers", 3, 3, "answers", at=200.0))
    assert out.getvalue().splitlines() == [
        "Fine-tuning: 4 of 9 steps, 12 s a step, about 60 s left",
        "Fine-tuning: 7 of 9 steps, 12 s a step, about 24 s left",
        "Fine-tuning: 9 of 9 steps, in 2 min",
        "Held-out answers: 3 of 3 answers",
    ]


def progress(stage: str, done: int, total: int, unit: str, *, at: float) -> Event:
    data = {"stage": stage, "done": done, "total": total, "unit": unit}
    return Event(kind=EventKind.PROGRESS, at=at, data=data)


@pytest.mark.parametrize("leader", ["a worker", "nobody"])
def test_a_guard_is_read_by_who_started_the_run_without_a_terminal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    leader: str,
) -> None:
    if leader == "a worker":
        monkeypatch.setenv("CONCORD_FOLLOW_STDIN", "1")
    with Reporter(tmp_path) as reporter:
        reporter.guard("divergence", action="warn", message="The loss rose.", step=40)
        list(reporter.track("abc", stage="letters", total=3, unit="letters"))
    told = capsys.readouterr().err
    assert bool(told) is (leader == "nobody")
    assert "\r" not in told
