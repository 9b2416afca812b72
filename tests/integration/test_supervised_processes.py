"""A supervised process that ends badly is started again; one that does so again and again ends for good."""

import io
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial

import pytest
from honcho.printer import Printer
from honcho.process import Message

from deploy.child import STARTED_BY
from deploy.supervisor import MortalProcess, Supervisor

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
    os.kill(web.runner.pid, signal.SIGTERM)
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


class Restarted(MortalProcess):
    """Says when it has been started again and has looked whether the supervisor stops."""

    def __init__(self, *args, looked, **options):
        super().__init__(*args, **options)
        self._looked, self._starts = looked, 0

    def _send_message(self, data, type="line"):  # noqa: A002 - honcho's
        if type == "start":
            self._starts += 1
        if self._starts == 2:
            self._looked.set()
        super()._send_message(data, type)


class StopAtTheRestart(Printer):
    """Stops the supervisor that prints a restart, once the new process runs: its start is not yet heard of."""

    def __init__(self, looked):
        super().__init__(io.StringIO())
        self._looked, self.stop = looked, None

    def write(self, message):
        super().write(message)
        if "started again" in str(message.data):
            assert self._looked.wait(SECONDS)
            self.stop()


@pytest.fixture
def signals():
    """The supervisor takes them for itself."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_process_that_the_supervisor_has_not_heard_of_yet_ends_with_the_others(signals, tmp_path):
    """It fails at first; what runs after it would end by itself in 20 seconds, with code 0."""
    looked = multiprocessing.Event()
    printer = StopAtTheRestart(looked)
    manager = Supervisor(printer)
    printer.stop = manager.terminate
    manager._process_ctor = partial(Restarted, stopping=manager.stopping, looked=looked)
    manager.add_process(
        "web", "test -f again || { touch again; exit 3; }; exec sleep 20", cwd=tmp_path
    )
    manager.loop()
    assert "web stopped (rc=-15)" in printer.output.getvalue()


def test_an_end_that_is_wanted_before_anything_runs_is_heard(signals):
    manager = Supervisor(Printer(io.StringIO()))
    manager.add_process("web", "exec sleep 20")
    manager.terminate()
    manager.loop()
    assert manager.returncode == -signal.SIGTERM


@pytest.mark.parametrize(("is_there", "told"), [(True, "ran"), (False, "")])
def test_a_command_does_not_outlive_a_parent_that_ended_before_it_began(is_there, told):
    command = [sys.executable, "-m", "deploy.child", "echo", "ran"]
    env = os.environ | {STARTED_BY: str(os.getpid() if is_there else 1)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == told
