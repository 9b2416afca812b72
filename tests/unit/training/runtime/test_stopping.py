import os
import signal
from collections.abc import Iterator

import pytest

from tests.waiting import eventually
from training.runtime import stopping
from training.runtime.stopping import FOLLOW_STDIN, listening


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end of a pipe that a parent would hold; the other end is our stdin."""
    ours, theirs = os.pipe()
    monkeypatch.setattr(stopping, "STDIN", ours)
    yield theirs
    os.close(ours)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_and_named(number: signal.Signals) -> None:
    with listening() as stop:
        assert not stop.is_set
        signal.raise_signal(number)
    assert stop.is_set
    assert number.name in stop.reason


def test_the_first_reason_is_kept() -> None:
    with listening() as stop:
        stop.ask("First.")
        stop.ask("Second.")
    assert stop.reason == "First."


def test_signals_do_afterwards_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with listening():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_parent_that_went_away_stops_the_run(
    parent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLLOW_STDIN, "1")
    with listening() as stop:
        os.close(parent)
        eventually(lambda: stop.is_set)
    assert "went away" in stop.reason


def test_the_end_of_stdin_means_nothing_unless_asked(parent: int) -> None:
    with listening() as stop:
        os.close(parent)
        os.sched_yield()
    assert not stop.is_set
