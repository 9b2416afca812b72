"""A supervised process that ends badly is started again; one that does so again and again ends for good."""

import multiprocessing
import os
import queue
import signal
from contextlib import suppress

import pytest
from honcho.process import Message

from deploy.supervisor import MortalProcess

SECONDS = 30


class Supervised:
    """A command under its runner, as the supervisor starts it."""

    def __init__(self, command: str, *, is_stopping: bool) -> None:
        self.last_started = 0
        self.stopping, self._events = multiprocessing.Event(), multiprocessing.Queue()
        if is_stopping:
            self.stopping.set()
        process = MortalProcess(command, name="web", stopping=self.stopping)
        self.runner = multiprocessing.Process(target=process.run, args=(self._events, True))
        self.runner.start()

    def heard(self, kind: str) -> object:
        """What the next message of this kind says; others before it are passed over."""
        while (message := self._events.get(timeout=SECONDS)).type != kind:
            self._note(message)
        self._note(message)
        return message.data

    def _note(self, message: Message) -> None:
        if message.type == "start":
            self.last_started = message.data["pid"]

    def end(self) -> None:
        """Ask for the end of what runs, as the supervisor does, until the runner has seen it end."""
        self.stopping.set()
        while self.runner.is_alive():
            with suppress(queue.Empty):
                self._note(self._events.get(timeout=0.05))
            with suppress(ProcessLookupError):
                os.killpg(self.last_started, signal.SIGKILL)
        self.runner.join()


@pytest.fixture
def supervise():
    """`supervise("sleep 60")`; whatever still runs at the end is killed."""
    started = []

    def start(command: str, *, is_stopping: bool = False) -> Supervised:
        started.append(Supervised(command, is_stopping=is_stopping))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_a_killed_process_is_started_again_with_a_sentence(supervise):
    web = supervise("exec sleep 60")
    first = web.heard("start")["pid"]
    os.kill(first, signal.SIGKILL)
    assert web.heard("line") == b"web was killed by signal 9; it is started again.\n"
    second = web.heard("start")["pid"]
    assert second != first
    web.stopping.set()
    os.kill(second, signal.SIGTERM)
    assert web.heard("stop") == {"returncode": -signal.SIGTERM}


def test_what_a_killed_process_left_behind_does_not_hold_the_new_one_up(supervise):
    """The shell is killed; its child, which has the output open, would live on for a minute."""
    web = supervise("sleep 60; true")
    os.kill(web.heard("start")["pid"], signal.SIGKILL)
    assert b"started again" in web.heard("line")


def test_a_process_that_fails_again_and_again_ends_for_good_and_says_so(supervise):
    web = supervise("exit 3")
    for _ in range(3):
        assert web.heard("line") == b"web ended with code 3; it is started again.\n"
    told = b"web ended with code 3 once too often within a minute: everything stops.\n"
    assert web.heard("line") == told
    assert web.heard("stop") == {"returncode": 3}


def test_a_process_that_ends_well_is_not_started_again(supervise):
    web = supervise("true")
    assert web.heard("stop") == {"returncode": 0}


def test_signals_for_everybody_end_the_process_only_by_the_supervisor_s_word(supervise):
    web = supervise("exec sleep 60")
    pid = web.heard("start")["pid"]
    os.kill(web.runner.pid, signal.SIGTERM)
    os.kill(pid, signal.SIGKILL)
    assert b"started again" in web.heard("line")


def test_what_is_started_again_while_the_supervisor_stops_is_ended_too(supervise):
    """The end was asked for after the runner had looked, and signaled to the process before."""
    web = supervise("exec sleep 60", is_stopping=True)
    assert web.heard("stop") == {"returncode": -signal.SIGTERM}
