"""A run's checkpoints in the bucket: stored whole while it trains, brought to a machine whose folder lacks them.

runs/<id>-<token>/<step>/<sha256>/...    the files of a checkpoint
runs/<id>-<token>/<step>/<sha256>.json   their list, stored last: what is listed is whole

The names hold digests, so that a worker which lost the run without knowing it yet writes over nothing.
"""

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from annotation.core import bucket, storage
from annotation.core.errors import DomainError
from annotation.core.jobs import UNDER_WAY
from annotation.runs.models import TrainingRun
from training.spec.layout import ADAPTERS_DIR, CHECKPOINTS_DIR
from workers.running import Fenced

logger = logging.getLogger(__name__)
KEPT = 2  # as in a run's folder
HELD = ".held"
RESUMED_FROM = (CHECKPOINTS_DIR, ADAPTERS_DIR)  # of no use to a run that is done
LISTED = re.compile(r".+/(\d+)/([0-9a-f]{64})\.json")


class Stored(NamedTuple):
    """A whole checkpoint in the bucket."""

    step: int
    sha256: str


def newest_step(folder: Path) -> int:
    """The step of the newest whole checkpoint in a run's folder; 0 where there is none."""
    found = (folder / CHECKPOINTS_DIR).glob("[0-9]*")
    return max((int(one.name) for one in found), default=0)


def stored(place: str) -> list[Stored]:
    """The whole checkpoints of a run's place in the bucket, newest first."""
    found = map(LISTED.fullmatch, bucket.names(f"{place}/"))
    return sorted((Stored(int(one[1]), one[2]) for one in found if one), reverse=True)


def bring_newest(place: str, folder: Path) -> int:
    """Bring the newest checkpoint that is newer than the folder's own; its step, 0 where none is.

    One that is damaged or not whole is removed, and the one before is brought. Raises BucketFailed
    where the bucket is away.
    """
    if bucket.address() is None:
        return 0
    own = newest_step(folder)
    (folder / CHECKPOINTS_DIR).mkdir(parents=True, exist_ok=True)
    for step, sha256 in stored(place):
        if step <= own:
            break
        try:
            target = folder / CHECKPOINTS_DIR / str(step)
            storage.bring_folder(f"{place}/{step}", sha256, target)
        except (storage.Damaged, bucket.Missing) as error:
            facts = {"place": place, "step": step, "reason": str(error)}
            logger.warning("checkpoint.damaged", extra=facts)
            remove(bucket.names(f"{place}/{step}/{sha256}"))
        else:
            return step
    return 0


def store(place: str, folder: Path, step: int) -> None:
    """Store the checkpoint of a step, then remove what is older than the newest `KEPT` up to it."""
    held = folder / CHECKPOINTS_DIR / f".{step}{HELD}"
    shutil.rmtree(held, ignore_errors=True)
    try:
        # The trainer may remove its own name of each file meanwhile.
        shutil.copytree(folder / CHECKPOINTS_DIR / str(step), held, copy_function=os.link)
        storage.store_folder(held, f"{place}/{step}")
    finally:
        shutil.rmtree(held, ignore_errors=True)
    steps = sorted({one.step for one in stored(place) if one.step <= step}, reverse=True)
    remove_before(place, min(steps[:KEPT], default=step))


def remove_before(place: str, step: int) -> None:
    """Remove what lies in the bucket of earlier steps."""
    names = bucket.names(f"{place}/")
    remove(one for one in names if int(one.removeprefix(f"{place}/").partition("/")[0]) < step)


def remove(names: Iterable[str]) -> None:
    """Remove objects of checkpoints, lists first: what has none is no checkpoint."""
    for name in sorted(names, key=lambda one: LISTED.fullmatch(one) is None):
        bucket.remove(name)


def remove_all(place: str) -> None:
    """Remove every checkpoint of a run from the bucket, and what was stored of others."""
    remove(bucket.names(f"{place}/"))


def remove_unused(*, before: datetime) -> None:
    """Remove what no run that waits or works will go on from, where nothing was stored since ``before``."""
    live = TrainingRun.objects.filter(status__in=UNDER_WAY)
    kept = {run.checkpoints_place for run in live}
    of_place: dict[str, list[str]] = {}
    written = bucket.written_at("runs/")
    for name in written:
        of_place.setdefault("/".join(name.split("/")[:2]), []).append(name)
    for place in of_place.keys() - kept:
        if max(written[name] for name in of_place[place]) < before:
            remove(of_place[place])
            logger.info("checkpoint.unused_removed", extra={"place": place})


def remove_kept(folder: Path) -> None:
    """Remove checkpoints and a server's adapters from a run's folder: a run that is done is not gone on with."""
    for name in RESUMED_FROM:
        shutil.rmtree(folder / name, ignore_errors=True)


def remove_of_done() -> None:
    """The same in this machine's folder of every run that is done, also where another machine finished it."""
    found = {
        int(one.name): one
        for one in storage.folder("runs").iterdir()
        if one.name.isdecimal() and any((one / name).exists() for name in RESUMED_FROM)
    }
    done = TrainingRun.objects.filter(pk__in=found, status=TrainingRun.Status.DONE)
    for pk in done.values_list("pk", flat=True):
        remove_kept(found[pk])


def remove_leftovers(folder: Path) -> None:
    """Remove from a run's folder what a killed worker was storing or bringing."""
    place = folder / CHECKPOINTS_DIR
    for left in (*place.glob(f".*{HELD}"), *place.glob(f"{storage.INCOMING}*")):
        shutil.rmtree(left, ignore_errors=True)


class Carrier:
    """Stores checkpoints beside a run, one at a time and the newest first; nothing without a bucket.

    The first is the one that the run goes on from: the bucket may lack it, or a part of it.
    Leaving the `with` block stores the last one where the run is to go on some day, also where
    it could not be stored before, and removes all where the run is done. A bucket that is away stops no run.
    """

    def __init__(self, place: str, folder: Path, *, tell: Callable[[str], None]) -> None:
        self._place, self._folder, self._tell = place, folder, tell
        self._is_on = bucket.address() is not None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints")
        self._going: Future[None] | None = None
        self._begun = self._stored = 0  # steps

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        self._settle()
        if not self._is_on or isinstance(error, Fenced):
            return
        step = newest_step(self._folder)
        if error is None:
            self._try(lambda: remove_all(self._place))
        elif step > self._stored:
            self._try(lambda: store(self._place, self._folder, step))

    def look(self, step: int) -> None:
        """Begin to store the checkpoint of ``step``, unless it was tried or another is under way."""
        if self._going is not None and self._going.done():
            self._settle()
        if not self._is_on or self._going is not None or step <= self._begun:
            return
        self._begun = step
        self._going = self._pool.submit(store, self._place, self._folder, step)

    def _settle(self) -> None:
        going, self._going = self._going, None
        if going is not None and self._try(going.result):
            self._stored = self._begun

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except (DomainError, OSError) as error:
            logger.warning(
                "checkpoint.not_stored", extra={"place": self._place, "reason": str(error)}
            )
            self._tell(f"A checkpoint was not stored for other machines. {error}")
            return False
        return True
