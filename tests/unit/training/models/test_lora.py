from pathlib import Path

import pytest
import torch

from tests.unit.training.trainers.runs import CPU
from training.models.load import LoadedModel, load_policy
from training.models.lora import Adapter, adapter_of, adapters_off, add_lora, merge_lora
from training.models.reward import load_reward_model
from training.runtime.metrics import Reporter
from training.runtime.optimize import choose_trainable
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.errors import ModelError, SpecError
from training.spec.preferences import SftSpec
from training.spec.runs import spec_from_dict

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture
def adapted(tiny_policy: LoadedModel) -> LoadedModel:
    add_lora(tiny_policy.model, SftSpec(model="m", data="d", lora_rank=2, trainable_layers=1))
    return tiny_policy


def shake(policy: LoadedModel) -> None:
    for one in choose_trainable(policy.model, top_layers=0).values():
        torch.nn.init.normal_(one, std=0.1)


def test_only_adapters_of_the_top_layers_are_trained(adapted: LoadedModel) -> None:
    names = list(choose_trainable(adapted.model, top_layers=0))
    assert names
    assert all("layers.1." in name and "lora_" in name for name in names)


def test_fresh_adapters_change_nothing(adapted: LoadedModel) -> None:
    with adapters_off(adapted.model):
        plain = adapted.model(IDS).logits
    assert torch.equal(adapted.model(IDS).logits, plain)


@pytest.mark.parametrize("is_training", [True, False])
def test_adapters_drop_out_where_the_model_does(
    tiny_policy: LoadedModel, is_training: bool
) -> None:
    tiny_policy.model.train(is_training)
    add_lora(tiny_policy.model, SftSpec(model="m", data="d", lora_rank=2, lora_dropout=0.5))
    shake(tiny_policy)
    one, other = (tiny_policy.model(IDS).logits for _ in range(2))
    assert torch.equal(one, other) is not is_training


def test_the_reference_is_the_model_with_adapters_off(adapted: LoadedModel) -> None:
    with adapters_off(adapted.model):
        before = adapted.model(IDS).logits
    shake(adapted)
    with adapters_off(adapted.model):
        assert torch.equal(adapted.model(IDS).logits, before)
    assert not torch.equal(adapted.model(IDS).logits, before)


def test_merging_leaves_a_plain_model_that_predicts_the_same(adapted: LoadedModel) -> None:
    shake(adapted)
    expected = adapted.model(IDS).logits
    merge_lora(adapted.model)
    torch.testing.assert_close(adapted.model(IDS).logits, expected, atol=1e-5, rtol=1e-5)
    assert not [name for name in adapted.model.state_dict() if "lora" in name]


def test_adapters_added_to_the_base_equal_merged_ones(
    adapted: LoadedModel, tiny_folder: Path
) -> None:
    shake(adapted)
    expected = adapted.model(IDS).logits
    plain = load_policy(str(tiny_folder), precision="float32", device=CPU)
    Adapter(adapted.model).add_to(plain.model)
    torch.testing.assert_close(plain.model(IDS).logits, expected, atol=1e-5, rtol=1e-5)


def test_four_bits_without_bitsandbytes_say_what_to_install(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"bitsandbytes.* not installed.*set quantize to none"):
        load_policy(str(tiny_folder), precision="float32", device=CPU, quantize="nf4")


def test_a_reward_model_in_four_bits_without_bitsandbytes_names_the_setting_that_asked(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"^reward_quantize: nf4 needs .*set reward_quantize to n"):
        load_reward_model(str(tiny_folder), precision="float32", device=CPU, quantize="nf4")


def test_four_bits_without_adapters_are_refused() -> None:
    with pytest.raises(SpecError, match=r"quantize: nf4 .* set lora_rank"):
        spec_from_dict({"kind": "sft", "model": "m", "data": "d", "quantize": "nf4"})


def test_the_adapter_of_a_run_is_found_beside_its_artifact_too(tmp_path: Path) -> None:
    with Reporter(tmp_path) as reporter:
        run = Run(folder=tmp_path, reporter=reporter, stop=StopRequest())
    with pytest.raises(ModelError, match=r"has no adapter/adapter_model.safetensors"):
        adapter_of(run)
    for folder in (run.artifact, tmp_path):
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / "adapter_model.safetensors").touch()
        assert adapter_of(run) == folder / "adapter"
