import errno
from pathlib import Path

import pytest
import torch

from training.runtime import checkpoint
from training.runtime.checkpoint import State, latest_state, save_state, saved_steps
from training.runtime.device import named_failures
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.errors import DiskFull, ModelError, OutOfMemory


def state(step: int) -> State:
    return State(step, {"weight": torch.tensor([float(step)])}, {"epoch": 1})


def test_the_newest_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    save_state(tmp_path, state(1))
    save_state(tmp_path, state(2))
    found = latest_state(tmp_path)
    assert found is not None
    assert (found.step, found.facts, found.tensors["weight"].item()) == (2, {"epoch": 1}, 2.0)


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    [save_state(tmp_path, state(step)) for step in (1, 2, 10)]
    assert saved_steps(tmp_path) == [2, 10]


def test_what_is_dropped_out_follows_seed_and_step_alone(tmp_path: Path) -> None:
    def drawn(done: int, seed: int) -> list[float]:
        steps = run.steps(done, 4, seed=seed, stage="steps")
        return [torch.rand(1).item() for _ in steps]

    with Reporter(tmp_path) as reporter:
        run = Run(folder=tmp_path, reporter=reporter, stop=StopRequest())
        whole, resumed, other = drawn(0, 5), drawn(2, 5), drawn(0, 6)
    assert len({*whole, *other}) == 8
    assert resumed == whole[2:]


def test_a_half_written_checkpoint_is_not_one(tmp_path: Path) -> None:
    (tmp_path / ".7.draft").mkdir()
    assert latest_state(tmp_path) is None


def test_a_failed_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    save_state(tmp_path, state(1))
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(DiskFull, match="disk is full"), named_failures():
        save_state(tmp_path, state(2))
    assert saved_steps(tmp_path) == [1]


def test_a_broken_checkpoint_says_which_to_delete(tmp_path: Path) -> None:
    path = save_state(tmp_path, state(1))
    (path / "state.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ModelError, match="Delete it"):
        latest_state(tmp_path)


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert latest_state(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("can't allocate memory: 9 GB")],
    ids=type,
)
def test_running_out_of_memory_has_one_name(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="tokens_per_forward"), named_failures():
        raise error


def test_other_errors_keep_their_name() -> None:
    with pytest.raises(RuntimeError, match="a bug"), named_failures():
        raise RuntimeError("a bug")
