"""One execution of a spec in a folder: what a trainer is handed."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from training.runtime.checkpoint import (
    State,
    draft_of,
    latest_state,
    save_state,
    saved_steps,
)
from training.runtime.distributed import anyone, rank, wait_for_all, world
from training.runtime.metrics import Reporter
from training.runtime.stopping import StopRequest
from training.spec.errors import Cancelled
from training.spec.events import EventKind
from training.spec.layout import ARTIFACT_DIR, CHECKPOINTS_DIR, TRAINED_FILE

Item = TypeVar("Item")
ENDING = "stop_reason"  # among the facts of a checkpoint


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Inside, nothing is dropped out and no gradient is kept."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


@dataclass(slots=True)
class Ending:
    """Why a guard ended the training before its last step; '' while none did."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The run's folder, its voice, whether it was asked to stop, and whether a guard ended its training."""

    folder: Path
    reporter: Reporter
    stop: StopRequest
    ending: Ending = field(default_factory=Ending)

    @property
    def artifact(self) -> Path:
        return self.folder / ARTIFACT_DIR

    @property
    def is_published(self) -> bool:
        """Whether only measuring is left; asked before training, so that all processes see the same."""
        return (self.folder / TRAINED_FILE).is_file() and self.artifact.is_dir()

    def last_state(self) -> State | None:
        """The newest checkpoint, and why its training had ended, if it had."""
        state = latest_state(self.folder / CHECKPOINTS_DIR)
        if state is not None:
            self.ending.reason = state.facts.get(ENDING, "")
            self.reporter.log(f"It goes on from checkpoint {state.step}.")
        return state

    def guard(self, name: str, *, action: str, message: str, step: int) -> None:
        """Say what a guard found; one that stops ends the training, and what there is gets published."""
        self.reporter.guard(name, action=action, message=message, step=step)
        if action == "stop":
            self.ending.reason = message

    def steps(
        self, done: int, total: int, *, seed: int, stage: str, unit: str = "steps"
    ) -> Iterator[int]:
        """The numbers of the steps that are left, until a guard ends the training.

        What a step drops out is a function of seed, step and process, so that no state of random numbers is kept.
        """
        left = range(done, done if self.ending.reason else total)
        for step in self.reporter.track(left, stage=stage, total=total, unit=unit, done=done):
            torch.manual_seed(random.Random(f"{seed}/{step}/{rank()}").getrandbits(63))  # noqa: S311 - of a dropout
            yield step
            if self.ending.reason:
                return

    def outcome(self, unit: str) -> str:
        """Why the training ended."""
        return self.ending.reason or f"all {unit} done"

    def track(
        self, items: Iterable[Item], *, stage: str, total: int, unit: str, done: int = 0
    ) -> Iterator[Item]:
        """Hand on items that leave nothing to save. Raises Cancelled when asked to stop."""
        for item in self.reporter.track(items, stage=stage, total=total, unit=unit, done=done):
            self.heed()
            yield item

    def heed(self) -> None:
        """Raise Cancelled when asked to stop; never in one of several processes, which the others wait for."""
        if world() == 1:
            self.stop.heed()

    def watch(self, model: Any) -> None:  # Any: transformers' models share no typed layers
        """Look for the wish to stop now, and whenever a pass enters a layer, forward or backward.

        A layer is the grain because one pass of a whole model takes seconds on a CPU. Passes then
        raise Cancelled.
        """
        if world() > 1:
            return  # as in `heed`
        self.stop.heed()
        stacks = [one for one in model.modules() if isinstance(one, nn.ModuleList)]
        layers = {id(layer): layer for stack in stacks for layer in stack}
        head = model.get_output_embeddings()
        for one in (*layers.values(), *([head] if isinstance(head, nn.Module) else [])):
            one.register_forward_pre_hook(self._heed)

    def _heed(self, _layer: nn.Module, inputs: tuple[object, ...]) -> None:
        self.stop.heed()
        for one in inputs:
            if isinstance(one, Tensor) and one.requires_grad:
                one.register_hook(lambda _: self.stop.heed())  # type: ignore[no-untyped-call] # torch leaves it untyped

    def meet(self, model: Any, *, notes: Iterable[str]) -> None:  # Any: as above
        """Watch a model that trains or scores, and tell what there is to tell of how it is computed."""
        self.watch(model)
        for note in notes:
            self.reporter.log(note)

    def save(self, state: State) -> None:
        """Write a checkpoint and say so; of several processes the first does."""
        if rank() == 0:
            self._save(state)
        wait_for_all()

    def _save(self, state: State) -> None:
        facts = {**state.facts, ENDING: self.ending.reason}
        path = save_state(self.folder / CHECKPOINTS_DIR, state._replace(facts=facts))
        data = {"path": str(path.relative_to(self.folder))}
        self.reporter.say(EventKind.CHECKPOINT, data, step=state.step)

    def save_or_stop(self, state: Callable[[], State], *, is_due: bool) -> bool:
        """Between two steps: a checkpoint if one is due, if a guard ended the training, or if it was asked to stop.

        Raises Cancelled after the last; else whether one was saved.
        """
        # the first process alone hears what some guards look at, and any may be asked to stop
        is_asked, has_ended = anyone(self.stop.is_set, bool(self.ending.reason))
        if has_ended:
            self.ending.reason = self.ending.reason or "A guard ended the training."
        if is_due or is_asked or has_ended:
            self.save(state())
        if is_asked:
            self.stop.ask("Another process of the run was asked to stop.")
            self.stop.heed()
        return is_due or has_ended

    @contextmanager
    def may_break_off(self, state: Callable[[], State]) -> Iterator[None]:
        """Work that changes no weights: where the run stops inside it, the steps before are saved."""
        try:
            yield
        except Cancelled:
            before = state()
            if before.step > max(saved_steps(self.folder / CHECKPOINTS_DIR), default=0):
                self.save(before)
            raise

    def look(
        self, model: nn.Module, measure: Callable[[], Mapping[str, Tensor]], *, is_due: bool
    ) -> Mapping[str, Tensor]:
        """What held-out records tell after a step; {} where none is due, or the run is asked to stop meanwhile.

        `save_or_stop` behind it heeds the wish.
        """
        if not is_due:
            return {}
        try:
            with at_rest(model):
                return measure()
        except Cancelled:
            return {}

    def publish(self, write: Callable[[Path], None]) -> None:
        """Let ``write`` fill a hidden folder, then make it the artifact in one rename.

        Of several processes the first does.
        """
        if rank() == 0:
            with draft_of(self.artifact) as draft:
                write(draft)
        wait_for_all()


Metrics = Mapping[str, object]
