"""A local model in a child process of its own: memory and CUDA start clean, and cancelling is a kill.

The child is `python -m workers.generators.child FOLDER`. It reads `request.json` and appends what it made to
`answers.jsonl`, a line a prompt as each batch is done.
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
    is_guest: bool = False,
) -> None:
    """Let a child do the tasks, telling ``hear`` each line; GeneratorFailed if it died of something.

    A guest works beside a job that has the device, and leaves it memory to grow.
    """
    _write_request(folder, {"tasks": list(tasks), "is_guest": is_guest})
    command = [sys.executable, "-m", CHILD, str(folder)]
    with process.start(
        command,
        folder=folder,
        log=folder / LOG_FILE,
        environment={"PYTHONPATH": os.pathsep.join([str(CODE), os.environ.get("PYTHONPATH", "")])},
        grace_seconds=GRACE_SECONDS,
    ) as child:
        ear = _Ear(folder / ANSWERS_FILE, hear=hear, check=check)
        status = child.follow(ear.hear_now, timeout_seconds=TIMEOUT_SECONDS)
        while ear.look():
            pass
    if status != 0:
        raise GeneratorFailed(_sentence(folder, status))


class _Ear:
    """Reads what the child has said since the last look."""

    def __init__(
        self, path: Path, *, hear: Callable[[Line], None], check: Callable[[], None]
    ) -> None:
        self._path, self._hear, self._check = path, hear, check
        self._offset = 0

    def hear_now(self) -> None:
        self.look()

    def look(self) -> bool:
        """Hear the lines that are whole; whether there were any."""
        self._check()
        lines, self._offset = process.whole_lines(self._path, self._offset)
        for line in lines:
            self._hear(json.loads(line))
            self._check()
        return bool(lines)


def _write_request(folder: Path, request: Mapping[str, Any]) -> None:  # Any: JSON
    """Begin anew: what a dead worker's child left unread is asked for again."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ANSWERS_FILE).unlink(missing_ok=True)
    (folder / LOG_FILE).unlink(missing_ok=True)
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
