"""A supervised process that ends badly is started again; one that does so again and again ends for good."""

import multiprocessing
import os
import signal

import pytest

from deploy.supervisor import MortalProcess

SECONDS = 30


class Supervised:
    """A command under its runner, as the supervisor starts it."""

    def __init__(self, command: str) -> None:
        self.stopping, self._events = multiprocessing.Event(), multiprocessing.Queue()
        process = MortalProcess(command, name="web", stopping=self.stopping)
        self.runner = multiprocessing.Process(target=process.run, args=(self._events, True))
        self.runner.start()

    def heard(self, kind: str) -> object:
        """What the next message of this kind says; others before it are passed over."""
        while (message := self._events.get(timeout=SECONDS)).type != kind:
            pass
        return message.data


@pytest.fixture
def supervise():
    """`supervise("sleep 60")`; whatever still runs at the end is killed."""
    started = []

    def start(command: str) -> Supervised:
        started.append(Supervised(command))
        return started[-1]

    yield start
    for one in started:
        one.stopping.set()
        one.runner.kill()
        one.runner.join()


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
