"""The child that stays for who asks next: what it keeps, and when another takes its place."""

import json
import os
import signal
from itertools import count
from pathlib import Path

import pytest
import torch

from training.models.reward import new_reward_model, save_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers.generators import child, local
from workers.generators.base import GeneratorFailed

CHAT = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]


@pytest.fixture
def guest():
    guest = local.Guest()
    yield guest
    guest.leave()


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(local, "CHILD", "tests.unit.workers.generators.fake_guest")


@pytest.fixture
def ask(guest, tmp_path):
    """Ask in a folder of its own; what was heard."""
    numbers = count()

    def ask(*tasks, check=lambda: None):
        heard = []
        folder = tmp_path / f"job-{next(numbers)}"
        guest.ask(tasks, folder=folder, hear=heard.append, check=check)
        return heard

    return ask


@pytest.fixture
def reward(tmp_path):
    base, folder = tmp_path / "base", tmp_path / "reward"
    tiny_llama().save_pretrained(base)
    tiny_tokenizer().save_pretrained(base)
    made = new_reward_model(str(base), precision="float32", device=torch.device("cpu"), seed=3)
    save_reward_model(made, folder)
    return folder


def pid_of(ask, act="answer", **fields):
    return ask({"act": act}, **fields)[0]["pid"]


def is_there(pid):
    return Path(f"/proc/{pid}").exists()


def test_who_asks_next_is_answered_by_the_child_that_is_there(ask, fake):
    assert pid_of(ask) == pid_of(ask)


def test_it_is_told_how_long_to_stay(ask, fake):
    assert ask({"act": "answer"})[0]["stay_seconds"] == local.STAY_SECONDS


def test_one_that_was_killed_meanwhile_is_replaced(ask, fake):
    first = pid_of(ask)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert pid_of(ask) != first


def test_one_that_was_leaving_as_it_was_asked_is_replaced(ask, guest, fake, monkeypatch):
    """It ended by itself, and has heard nothing of the request."""
    first = pid_of(ask)
    told = guest._child.tell
    written = {"tasks": [{"act": "leave unheard"}], "stay_seconds": 1}

    def tell(folder):
        request = Path(folder) / local.REQUEST_FILE
        asked = request.read_text()
        request.write_text(json.dumps(written))
        is_told = told(folder)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        request.write_text(asked)
        return is_told

    monkeypatch.setattr(guest._child, "tell", tell)
    assert pid_of(ask) != first


def test_one_that_dies_of_a_request_says_so_and_the_next_is_answered(ask, fake):
    first = pid_of(ask)
    with pytest.raises(GeneratorFailed, match="status 1"):
        ask({"act": "crash"})
    assert pid_of(ask) != first


def test_who_stops_listening_ends_it(ask, fake):
    first = pid_of(ask)

    def cancelled():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ask({"act": "hang"}, check=cancelled)
    assert not is_there(first)


def test_the_model_is_loaded_once_and_the_reason_of_a_death_is_in_the_newest_log(
    ask, guest, reward, tmp_path
):
    task = local.chats_task(str(reward), [CHAT])
    first = ask(task)
    held = guest._child.pid
    again = ask(task)
    assert first == again
    assert guest._child.pid == held
    assert first[0]["reasons"] == [""]
    with pytest.raises(GeneratorFailed, match="KeyError: 'task'"):
        ask({"key": "of no kind"})


def test_a_child_that_nobody_asks_leaves(ask, guest, reward, monkeypatch):
    monkeypatch.setattr(local, "STAY_SECONDS", 0.01)
    ask(local.chats_task(str(reward), [CHAT]))
    assert guest._child is None or guest._child.follow(lambda: None, timeout_seconds=60) == 0


def test_a_model_is_held_until_another_is_asked_for_or_its_files_change(tmp_path):
    loaded, held = [], child.Held()

    def load(source):
        loaded.append(Path(source).name)
        return source

    def asked(name):
        return held.get(str(tmp_path / name), load)

    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text("weights")
    assert (asked("a"), asked("a")) == (str(tmp_path / "a"),) * 2
    asked("b")
    asked("a")
    assert loaded == ["a", "b", "a"]
    os.utime(tmp_path / "a" / "model.safetensors", ns=(1, 1))
    asked("a")
    assert loaded == ["a", "b", "a", "a"]
    held.let_go()
    asked("a")
    assert loaded == ["a", "b", "a", "a", "a"]
