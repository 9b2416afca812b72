import pytest

from training.runtime.device import pick_device


def test_a_run_computes_on_as_many_threads_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", told.append)
    pick_device()  # the tests themselves say one: `tests/environment.py`
    monkeypatch.setenv("CONCORD_TORCH_THREADS", "3")
    pick_device()
    assert told == [1, 3]
