"""One execution of a spec in a folder: what a trainer is handed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from training.runtime.checkpoint import State, draft_of, latest_state, save_state
from training.runtime.metrics import Reporter
from training.runtime.stopping import StopRequest
from training.spec.errors import Cancelled
from training.spec.events import EventKind
from training.spec.layout import ARTIFACT_DIR, CHECKPOINTS_DIR

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The run's folder, its voice, and whether it was asked to stop."""

    folder: Path
    reporter: Reporter
    stop: StopRequest

    @property
    def artifact(self) -> Path:
        return self.folder / ARTIFACT_DIR

    def last_state(self) -> State | None:
        """The newest checkpoint, with random numbers set back to it."""
        return latest_state(self.folder / CHECKPOINTS_DIR)

    def track(
        self, items: Iterable[Item], *, stage: str, total: int, unit: str, done: int = 0
    ) -> Iterator[Item]:
        """Hand on items that leave nothing to save. Raises Cancelled when asked to stop."""
        for item in self.reporter.track(items, stage=stage, total=total, unit=unit, done=done):
            if self.stop.is_set:
                raise Cancelled(f"{self.stop.reason} Its last checkpoint can be resumed.")
            yield item

    def save(self, state: State) -> None:
        """Write a checkpoint and say so."""
        path = save_state(self.folder / CHECKPOINTS_DIR, state)
        data = {"path": str(path.relative_to(self.folder))}
        self.reporter.say(EventKind.CHECKPOINT, data, step=state.step)

    def save_or_stop(self, state: Callable[[], State], *, is_due: bool) -> None:
        """Between two steps: a checkpoint if one is due, or if the run was asked to stop.

        Raises Cancelled after the latter.
        """
        is_asked = self.stop.is_set
        if is_due or is_asked:
            self.save(state())
        if is_asked:
            raise Cancelled(f"{self.stop.reason} Its last checkpoint can be resumed.")

    def publish(self, write: Callable[[Path], None]) -> None:
        """Let ``write`` fill a hidden folder, then make it the artifact in one rename."""
        with draft_of(self.artifact) as draft:
            write(draft)


Metrics = Mapping[str, object]
