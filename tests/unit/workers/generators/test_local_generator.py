"""The worker's side of a local model: it hears the child, stops it, and says why it ended."""

from pathlib import Path

import pytest

from workers.generators import local
from workers.generators.base import Ask, GeneratorFailed, SamplingSettings

SETTINGS = SamplingSettings(n=1, temperature=0.9, top_p=1.0, max_tokens=3, seed=5)


@pytest.fixture(autouse=True)
def fake_child(monkeypatch):
    monkeypatch.setattr(local, "CHILD", "tests.unit.workers.generators.fake_child")


def asked(tmp_path, act, check=lambda: None):
    asks = [Ask(prompt_id=n, turns=[{"role": "user", "content": act}]) for n in (1, 2, 3)]
    taken = []
    generator = local.LocalGenerator("/model", folder=tmp_path / "run")
    try:
        generator.generate(asks, SETTINGS, take=taken.append, check=check)
    finally:
        asked.taken = [one.prompt_id for one in taken]
    return asked.taken


def test_every_whole_line_is_taken(tmp_path):
    assert asked(tmp_path, "answer") == [1, 2, 3]


@pytest.mark.parametrize(("act", "sentence"), [("crash", "by nought"), ("die", "memory ran out")])
def test_a_child_that_ends_badly_is_reported_after_its_answers_were_taken(tmp_path, act, sentence):
    with pytest.raises(GeneratorFailed, match=sentence):
        asked(tmp_path, act)
    assert asked.taken == [1, 2, 3]


def test_cancelling_ends_the_child(tmp_path):
    pid_file = tmp_path / "child.pid"

    def check():
        if pid_file.exists() and pid_file.read_text():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        asked(tmp_path, "hang", check)
    assert not Path(f"/proc/{int(pid_file.read_text())}").exists()


def test_answers_that_a_dead_worker_left_are_not_heard_again(tmp_path):
    (tmp_path / "run").mkdir()
    stale = '{"key": "policy", "prompt": 99, "samples": []}\n'
    (tmp_path / "run" / local.ANSWERS_FILE).write_text(stale)
    assert asked(tmp_path, "answer") == [1, 2, 3]
