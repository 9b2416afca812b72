import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.training.trainers.runs import CPU
from training.models.load import LoadedModel, head_of, load_policy, save_model
from training.spec.errors import ModelError


def load(folder: Path) -> LoadedModel:
    return load_policy(str(folder), precision="auto", device=CPU)


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_folder_becomes_a_policy_that_runs_as_trees(tiny_folder: Path) -> None:
    policy = load(tiny_folder)
    assert policy.is_tree
    assert policy.model.dtype == torch.float32


@pytest.mark.parametrize("name", ["nowhere/at/all", "/nowhere", "./nowhere"])
def test_a_missing_folder_says_what_is_needed(name: str) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        load(Path(name))


def test_corrupt_weights_are_named(copied: Path) -> None:
    (copied / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="corrupt"):
        load(copied)


def test_half_a_weights_file_is_refused(copied: Path) -> None:
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="corrupt"):
        load(copied)


def test_missing_weights_are_not_made_up(copied: Path) -> None:
    path = copied / "model.safetensors"
    weights = load_file(path)
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights.*up_proj"):
        load(copied)


def test_pickled_weights_are_not_read(copied: Path) -> None:
    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="safetensors"):
        load(copied)


def test_an_unknown_family_is_named(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"model_type": "oracle"}))
    with pytest.raises(ModelError, match="oracle"):
        load(copied)


def test_a_broken_config_is_named(copied: Path) -> None:
    (copied / "config.json").write_text("{")
    with pytest.raises(ModelError, match="could not be loaded"):
        load(copied)


def test_a_model_without_tokenizer_is_refused(copied: Path) -> None:
    for path in copied.glob("token*"):
        path.unlink()
    with pytest.raises(ModelError):
        load(copied)


def test_code_in_a_folder_is_never_run(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "evil.Evil"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError):
        load(copied)


def test_a_saved_policy_predicts_the_same(tiny_policy: LoadedModel, tmp_path: Path) -> None:
    save_model(tiny_policy, tmp_path / "saved")
    ids = torch.tensor([[5, 6, 7]])
    again = load(tmp_path / "saved").model(ids).logits
    assert torch.equal(again, tiny_policy.model(ids).logits)


def test_the_head_gives_the_models_own_logits(tiny_policy: LoadedModel) -> None:
    ids = torch.tensor([[5, 6, 7]])
    hidden = tiny_policy.backbone(ids).last_hidden_state
    torch.testing.assert_close(head_of(tiny_policy)(hidden), tiny_policy.model(ids).logits)
