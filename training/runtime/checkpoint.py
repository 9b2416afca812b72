"""Resumable states: safetensors and JSON in a folder that appears whole or not at all.

No pickle: a checkpoint of a stranger can be read without running their code.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.spec.errors import ModelError

TENSORS_FILE = "state.safetensors"
FACTS_FILE = "state.json"
KEPT = 2


class State(NamedTuple):
    """What a run needs to go on: its step, tensors by name, and facts that JSON can hold."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]  # Any: JSON


def save_state(folder: Path, state: State) -> Path:
    """Write ``folder/<step>``: whole in a hidden folder, synced, renamed. Keep two."""
    final = folder / str(state.step)
    tensors = {name: one.detach().contiguous() for name, one in state.tensors.items()}
    with draft_of(final) as draft:
        save_file(tensors, draft / TENSORS_FILE)
        (draft / FACTS_FILE).write_text(json.dumps({"step": state.step, "facts": state.facts}))
    for old in saved_steps(folder)[:-KEPT]:
        shutil.rmtree(folder / str(old))
    return final


@contextmanager
def draft_of(final: Path) -> Iterator[Path]:
    """A hidden folder to fill, published as ``final``; removed where filling it fails."""
    draft = final.with_name(f".{final.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        publish_folder(draft, final)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def publish_folder(draft: Path, final: Path) -> None:
    """Rename ``draft`` to ``final`` with everything in it on the disk first."""
    for path in (*draft.rglob("*"), draft):
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    _sync(final.parent)


def write_atomically(path: Path, text: str) -> None:
    """A file that has its old content or its new one, never half."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    _sync(draft)
    draft.replace(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def saved_steps(folder: Path) -> list[int]:
    """Steps with a whole checkpoint, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(int(one.name) for one in folder.iterdir() if one.name.isdigit())


def latest_state(folder: Path) -> State | None:
    """The newest checkpoint; None if there is none."""
    steps = saved_steps(folder)
    if not steps:
        return None
    path = folder / str(steps[-1])
    try:
        told = json.loads((path / FACTS_FILE).read_text())
        tensors = load_file(path / TENSORS_FILE)
        step, facts = told["step"], told["facts"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(
            f"The checkpoint {path} cannot be read ({error!r}). "
            "Delete it to resume from the one before."
        ) from error
    return State(step, tensors, facts)
