"""A local model in a child process of its own: memory and CUDA start clean, and cancelling is a kill.

The child is `python -m workers.generators.child FOLDER`. It reads `request.json` and appends what it made to
`answers.jsonl`, a line a prompt as each batch is done, and `{"done": true}`.

One that somebody waits for is asked as a guest: it stays a while, with the model that it had last, and is told the
folder of the next request on its stdin. To start and load anew takes most of such an answer's time.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workers import process
from workers.generators.base import Ask, GeneratorFailed, Outcome, Sampled, SamplingSettings

REQUEST_FILE, ANSWERS_FILE, LOG_FILE = "request.json", "answers.jsonl", "log.txt"
CODE = Path(__file__).resolve().parent.parent.parent
CHILD = "workers.generators.child"
GRACE_SECONDS = 5.0  # the child keeps nothing that is worth waiting for
TIMEOUT_SECONDS = 7 * 86_400.0
STAY_SECONDS = 60.0  # a guest without a request
logger = logging.getLogger(__name__)

Line = Mapping[str, Any]  # Any: JSON
Text = tuple[str, bool]  # a response, and whether it ended by itself


class LocalGenerator:
    """Asks the model of a folder or hub name, in a child that works in ``folder``."""

    def __init__(self, location: str, *, folder: Path) -> None:
        self.location = location
        self.folder = folder

    def generate(
        self,
        asks: Sequence[Ask],
        settings: SamplingSettings,
        *,
        take: Callable[[Outcome], None],
        check: Callable[[], None],
    ) -> None:
        task = sample_task("policy", self.location, asks, settings)

        def hear(line: Line) -> None:
            if "prompt" in line:
                take(outcome_of(line))
            elif "failed" in line:
                raise GeneratorFailed(line["failed"])

        run_child([task], folder=self.folder, hear=hear, check=check)


def sample_task(
    key: str, location: str, asks: Sequence[Ask], settings: SamplingSettings
) -> dict[str, Any]:
    """A request to sample, for the child."""
    return {
        "task": "sample",
        "key": key,
        "model": location,
        "prompts": [{"id": one.prompt_id, "turns": list(one.turns)} for one in asks],
        "n": settings.n,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_tokens": settings.max_tokens,
        "seed": settings.seed,
        "whole_prompts": settings.whole_prompts,
    }


def score_task(
    location: str, turns: Sequence[dict[str, str]], texts: Mapping[str, Text]
) -> dict[str, Any]:
    """A request to score responses to one prompt, those sampled in the same child included."""
    return {
        "task": "score",
        "key": "scores",
        "model": location,
        "turns": list(turns),
        "texts": dict(texts),
    }


def score_many_task(
    location: str, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:  # Any: JSON
    """A request to score responses to many prompts; a row has ``turns`` and ``texts`` (`Text`) by key."""
    return {"task": "score_many", "key": "scores", "model": location, "rows": list(rows)}


def chats_task(location: str, chats: Sequence[Sequence[Mapping[str, str]]]) -> dict[str, Any]:
    """A request to score the last turns of many chats."""
    return {
        "task": "score_chats",
        "key": "scores",
        "model": location,
        "chats": [[dict(turn) for turn in chat] for chat in chats],
    }


def outcome_of(line: Line) -> Outcome:
    """The outcome of one prompt from the child's line."""
    return Outcome(
        prompt_id=line["prompt"],
        samples=tuple(Sampled(**one) for one in line.get("samples", ())),
        reason=line.get("reason", ""),
        prompt_tokens_cut=line.get("prompt_tokens_cut", 0),
    )


def run_child(
    tasks: Sequence[Mapping[str, Any]],  # Any: JSON
    *,
    folder: Path,
    hear: Callable[[Line], None],
    check: Callable[[], None],
) -> None:
    """Let a child do the tasks, telling ``hear`` each line; GeneratorFailed if it died of something."""
    _write_request(folder, tasks, stay_seconds=0)
    ear = _Ear(folder / ANSWERS_FILE, hear=hear, check=check)
    with _started(folder) as child:
        status = child.follow(ear.hear_now, timeout_seconds=TIMEOUT_SECONDS)
    _hear_the_rest(ear, folder, status)


class Guest:
    """A child that works beside a job that has the device: it leaves that memory to grow, and stays for more."""

    def __init__(self) -> None:
        self._child: process.Child | None = None

    def ask(
        self,
        tasks: Sequence[Mapping[str, Any]],  # Any: JSON
        *,
        folder: Path,
        hear: Callable[[Line], None],
        check: Callable[[], None],
    ) -> None:
        """As `run_child`, by the child that is there, if there is one. Whoever stops listening ends it."""
        _write_request(folder, tasks, stay_seconds=STAY_SECONDS)
        ear = _Ear(folder / ANSWERS_FILE, hear=hear, check=check)
        try:
            status = self._follow(ear, folder)
        except BaseException:
            self.leave()
            raise
        if status is not None:
            self.leave()
            _hear_the_rest(ear, folder, status)

    def leave(self) -> None:
        """End the child; what it holds is free then."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _follow(self, ear: "_Ear", folder: Path) -> int | None:
        """None if it did what it was asked, else with which status it ended. One that was leaving heard nothing."""
        if self._child is not None and self._child.tell(str(folder)):
            status = self._listen(self._child, ear)
            if status != 0 or ear.has_heard:
                return status
        self.leave()
        self._child = _started(folder)
        return self._listen(self._child, ear)

    @staticmethod
    def _listen(child: process.Child, ear: "_Ear") -> int | None:
        return child.follow_until(
            lambda: ear.is_done, ear.hear_now, timeout_seconds=TIMEOUT_SECONDS
        )


GUEST = Guest()  # of this process


def _started(folder: Path) -> process.Child:
    return process.start(
        [sys.executable, "-m", CHILD, str(folder)],
        folder=folder,
        log=folder / LOG_FILE,
        environment={"PYTHONPATH": os.pathsep.join([str(CODE), os.environ.get("PYTHONPATH", "")])},
        grace_seconds=GRACE_SECONDS,
    )


def _hear_the_rest(ear: "_Ear", folder: Path, status: int | None) -> None:
    """What was said last. Raises GeneratorFailed for a child that died of something."""
    while ear.look():
        pass
    if status:
        raise GeneratorFailed(_sentence(folder, status))


class _Ear:
    """Reads what the child has said since the last look."""

    def __init__(
        self, path: Path, *, hear: Callable[[Line], None], check: Callable[[], None]
    ) -> None:
        self._path, self._hear, self._check = path, hear, check
        self._offset = 0
        self.is_done = False

    @property
    def has_heard(self) -> bool:
        return self._offset > 0

    def hear_now(self) -> None:
        self.look()

    def look(self) -> bool:
        """Hear the lines that are whole; whether there were any."""
        self._check()
        lines, self._offset = process.whole_lines(self._path, self._offset)
        for line in map(json.loads, lines):
            if "done" in line:
                self.is_done = True
                continue
            self._hear(line)
            self._check()
        return bool(lines)


def _write_request(
    folder: Path,
    tasks: Sequence[Mapping[str, Any]],  # Any: JSON
    *,
    stay_seconds: float,
) -> None:
    """Begin anew: what a dead worker's child left unread is asked for again. Who stays is a guest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ANSWERS_FILE).unlink(missing_ok=True)
    (folder / LOG_FILE).unlink(missing_ok=True)
    request = {"tasks": list(tasks), "stay_seconds": stay_seconds}
    (folder / REQUEST_FILE).write_text(json.dumps(request), encoding="utf-8")


def _sentence(folder: Path, status: int) -> str:
    if status == -signal.SIGKILL:
        return (
            "The system killed the process that samples, most often because memory ran out. "
            "Lower max_tokens, or start the run again on a larger machine: what is stored stays."
        )
    log = process.tail(folder / LOG_FILE).strip()
    logger.warning("child.died", extra={"status": status, "log": log})  # the folder goes
    lines = log.splitlines()
    last = lines[-1][:300] if lines else "nothing"
    return (
        f"The process that samples ended with status {status}. The last line of its log: {last} "
        "What is stored stays; resume the run once this is mended."
    )
