"""What holds for all trainers that learn from records: fine-tuning, reward models, DPO, KTO."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.training.conftest import judged_group, write_groups
from tests.unit.training.documented import explained
from tests.unit.training.trainers.conftest import RunOf
from tests.unit.training.trainers.runs import StopAt, evaluate, metrics_of, train, train_until
from training.data import remembered
from training.runtime.checkpoint import State, saved_steps
from training.runtime.run import Run
from training.spec.base import RunSpec
from training.spec.errors import Cancelled, DataError, Diverged
from training.spec.metrics import METRICS
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.records import CandidateText, Pair

pytestmark = pytest.mark.usefixtures("quick_asides")

STEP = "training.runtime.optimize:Optimizer.step"
BACKWARD = "training.runtime.optimize:Optimizer.backward"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 prompts to train on, which are three steps of 4, and 12 held out."""
    folder = tmp_path_factory.mktemp("snapshot")
    write_groups(folder, [judged_group(number) for number in range(24)])
    return folder


@pytest.fixture(params=[SftSpec, RewardModelSpec, DpoSpec, KtoSpec], ids=lambda cls: cls.kind)
def spec(request: pytest.FixtureRequest, tiny_folder: Path, snapshot: Path) -> RunSpec:
    return request.param(
        model=str(tiny_folder),
        data=str(snapshot),
        learning_rate=3e-3,
        epochs=2.0,
        groups_per_step=4,
        checkpoint_every=3,
        lora_dropout=0.1,
        max_response_tokens=16,
    )


def end_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Let a guard end every run at this step."""
    plainly = Run.save_or_stop

    def guarded(run: Run, state: Callable[[], State], *, is_due: bool) -> None:
        if state().step == step:
            run.guard("divergence", action="stop", message="It rose.", step=step)
        plainly(run, state, is_due=is_due)

    patch.setattr(Run, "save_or_stop", guarded)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "artifact" / "model.safetensors")


@pytest.mark.parametrize(
    "settings", [{}, {"lora_rank": 2}, {"trainable_layers": 1}], ids=["full", "lora", "top"]
)
def test_a_resumed_run_equals_one_that_never_stopped(
    spec: RunSpec, run_of: RunOf, tmp_path: Path, settings: dict[str, Any]
) -> None:
    spec = replace(spec, **settings)
    with pytest.MonkeyPatch.context() as patch:
        train_until(StopAt(patch, STEP, time=2), tmp_path / "parts", spec)
    torch.rand(7)
    train(tmp_path / "parts", spec)
    whole, parts = weights(run_of(spec)), weights(tmp_path / "parts")
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []
    assert metrics_of(tmp_path / "parts") == metrics_of(run_of(spec))


@pytest.mark.parametrize(
    "settings", [{"lora_rank": 2}, {"trainable_layers": 1}], ids=["lora", "top"]
)
def test_a_stop_in_the_middle_of_a_step_keeps_the_steps_before_it(
    spec: RunSpec, run_of: RunOf, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """With 4 groups a step and room for one in a forward pass, the third step has passes 9 to 12."""
    spec = replace(spec, tokens_per_forward=16, **settings)
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, BACKWARD, time=10)
        train_until(stop, tmp_path / "parts", spec)
    assert stop.came == 10
    assert saved_steps(tmp_path / "parts" / "checkpoints") == [2]
    torch.rand(7)
    train(tmp_path / "parts", spec)
    whole, parts = weights(run_of(spec)), weights(tmp_path / "parts")
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []
    assert metrics_of(tmp_path / "parts") == metrics_of(run_of(spec))


def test_a_stop_before_the_first_step_leaves_nothing_to_resume_from(
    spec: RunSpec, tmp_path: Path
) -> None:
    """The pass over the frozen layers ends at its first row."""
    spec = replace(spec, trainable_layers=1, tokens_per_forward=16)
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, "training.data.remembered:SplitBackbone.lower", time=1)
        train_until(stop, tmp_path / "run", spec)
    assert stop.came == 1
    assert saved_steps(tmp_path / "run" / "checkpoints") == []


def test_a_stop_is_heard_within_an_evaluation(spec: RunSpec, tmp_path: Path) -> None:
    spec = replace(spec, max_steps=1, tokens_per_forward=16)
    train(tmp_path / "run", spec)
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, "training.models.attention:tree_pieces", time=3)
        with pytest.raises(Cancelled):
            evaluate(tmp_path / "run", spec, stop)
    assert stop.came == 3


def test_a_run_that_crashed_repeats_from_its_last_checkpoint(
    spec: RunSpec, run_of: RunOf, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        train_until(StopAt(patch, STEP, time=5), tmp_path / "parts", spec)
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "5")
    events = tmp_path / "parts" / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-9])
    train(tmp_path / "parts", spec)
    whole, parts = weights(run_of(spec)), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_two_runs_of_a_spec_give_the_same_numbers(
    spec: RunSpec, run_of: RunOf, tmp_path: Path
) -> None:
    train(tmp_path / "again", spec)
    assert metrics_of(tmp_path / "again") == metrics_of(run_of(spec))


def test_accumulated_gradients_equal_those_of_one_pass(spec: RunSpec, tmp_path: Path) -> None:
    spec = replace(spec, max_steps=1)
    train(tmp_path / "whole", spec)
    train(tmp_path / "parts", replace(spec, tokens_per_forward=16))
    (_, whole), (_, parts) = metrics_of(tmp_path / "whole")[0], metrics_of(tmp_path / "parts")[0]
    assert parts == pytest.approx(whole, abs=1e-5, rel=1e-4)  # fitted heads give gradients of 68


def test_trainable_weights_change_and_frozen_ones_do_not(
    spec: RunSpec, run_of: RunOf, tiny_folder: Path
) -> None:
    run = run_of(replace(spec, trainable_layers=1))
    before, after = load_file(tiny_folder / "model.safetensors"), weights(run)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "layers.1" in name or name == "model.norm.weight"}


def test_remembering_frozen_layers_does_not_change_the_loss(
    spec: RunSpec, run_of: RunOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(spec, trainable_layers=1)
    found = [data["loss"] for _, data in metrics_of(run_of(spec))]
    monkeypatch.setattr(remembered, "LARGEST_MEMORY", 0)
    train(tmp_path / "anew", spec)
    assert found == pytest.approx(
        [data["loss"] for _, data in metrics_of(tmp_path / "anew")], abs=1e-5
    )


def test_the_learning_rate_rises_and_falls(spec: RunSpec, tmp_path: Path) -> None:
    """6 steps, 50 % warm-up: a third of the peak first, the peak at step 3, then down."""
    train(tmp_path / "run", replace(spec, warmup_share=0.5))
    rates = [data["learning_rate"] for _, data in metrics_of(tmp_path / "run")]
    assert rates[:3] == pytest.approx([1e-3, 2e-3, 3e-3])
    assert rates[3:] == sorted(rates[3:], reverse=True)


def test_the_last_step_is_a_checkpoint(spec: RunSpec, tmp_path: Path) -> None:
    train(tmp_path / "run", replace(spec, checkpoint_every=4))
    assert saved_steps(tmp_path / "run" / "checkpoints") == [4, 6]


@pytest.mark.parametrize("number", [0, 3])
def test_too_few_rows_are_refused_with_their_number(
    spec: RunSpec, tmp_path: Path, number: int
) -> None:
    write_groups(tmp_path / "few", [judged_group(4 * at) for at in range(number)])
    with pytest.raises(DataError, match=f"has {2 * number} .* at least 8"):
        train(tmp_path / "run", replace(spec, data=str(tmp_path / "few")))


def test_a_diverging_run_says_so(spec: RunSpec, tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] = float("inf")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Diverged, match="no longer finite at step 1"):
        train(tmp_path / "run", replace(spec, model=str(folder)))


def test_without_held_out_rows_the_numbers_say_why(spec: RunSpec, tmp_path: Path) -> None:
    write_groups(tmp_path / "data", [judged_group(4 * at) for at in range(8)])
    spec = replace(spec, data=str(tmp_path / "data"), max_steps=1)
    train(tmp_path / "run", spec)
    first = next(iter(evaluate(tmp_path / "run", spec).values()))
    assert (first["value"], first["n"]) == (None, 0)
    assert first["reason"]


def alike(spec: RunSpec, folder: Path) -> Path:
    """A run whose policy is the one that it began with."""
    folder.mkdir()
    shutil.copytree(spec.model, folder / "artifact")
    return folder


@pytest.mark.parametrize("kind", [DpoSpec, KtoSpec])
def test_what_preferences_cost_in_language_is_measured(
    kind: type[DpoSpec | KtoSpec], tiny_folder: Path, snapshot: Path, tmp_path: Path
) -> None:
    """Fine-tuning would measure the same loss and the same answers to 8 prompts, which moved as the policy did."""
    settings = {"model": str(tiny_folder), "data": str(snapshot), "max_response_tokens": 16}
    settings["eval_prompts"] = 8
    own = kind(**settings, learning_rate=3e-3)
    train(tmp_path / "run", own)
    told = evaluate(tmp_path / "run", own)
    assert told["kl"] > 0
    assert told["length_before"] <= 16
    assert {"eos_before", "eos_after", "distinct_before", "distinct_after", "length_after"} <= set(
        told
    )
    lines = (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    logged = [row for row in map(json.loads, lines) if "answers" in row["data"]]
    assert [row["data"]["answers"] for row in logged] == [8, 8]
    imitated = evaluate(tmp_path / "run", SftSpec(**settings))
    assert {"loss_after", "kl", "distinct_after"} <= set(imitated)
    records = told["held_out_records"]
    imitated["held_out_records"]["pairs"] = records["pairs"]
    assert {name: told[name] for name in imitated} == imitated
    assert evaluate(tmp_path / "run", own) == told
    assert "kl" not in evaluate(tmp_path / "run", replace(own, eval_prompts=0))


def test_a_policy_that_preferences_did_not_move_paid_nothing(
    tiny_folder: Path, snapshot: Path, tmp_path: Path
) -> None:
    spec = DpoSpec(model=str(tiny_folder), data=str(snapshot), max_response_tokens=16)
    told = evaluate(alike(spec, tmp_path / "run"), spec)
    assert told["kl"] == 0.0
    for name in ("loss", "perplexity", "length", "eos", "distinct"):
        assert told[f"{name}_before"] == told[f"{name}_after"]


def test_every_number_of_a_step_is_explained_and_has_a_title(spec: RunSpec, run_of: RunOf) -> None:
    told = {name for _, data in metrics_of(run_of(spec)) for name in data}
    assert told - explained(spec.kind) == set()
    assert told - METRICS.keys() == set()


def test_a_snapshot_limit_is_kept(spec: RunSpec, tmp_path: Path) -> None:
    assert train(tmp_path / "run", replace(spec, max_groups=9, max_steps=1))["prompts"] == 9


def test_a_run_of_two_steps_passes_and_measures_no_more_prompts_than_they_take(
    spec: RunSpec, tmp_path: Path
) -> None:
    """Of 24 prompts to train on and 24 held out 8, one a batch; a look at step 10 does not come."""
    few = {"max_steps": 2, "eval_every": 10, "trainable_layers": 1, "tokens_per_forward": 16}
    spec = replace(spec, **few)
    spec = replace(spec, head_start="random") if spec.kind == "reward_model" else spec
    train(tmp_path, spec)
    evaluate(tmp_path, spec)
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    said = [row["data"] for row in map(json.loads, lines) if row["kind"] == "progress"]
    assert max(row["total"] for row in said) == 8


def test_a_guard_ends_the_training_and_what_there_is_gets_published(
    spec: RunSpec, tmp_path: Path
) -> None:
    """At step 4 of 6, between two checkpoints; it is not taken up again by resume."""
    with pytest.MonkeyPatch.context() as patch:
        end_at(patch, 4)
        told = train(tmp_path, spec)
    assert (told["steps"], told["stop_reason"]) == (4, "It rose.")
    assert saved_steps(tmp_path / "checkpoints")[-1] == 4
    before = weights(tmp_path)
    again = train(tmp_path, spec)
    assert (again["steps"], again["stop_reason"]) == (4, "It rose.")
    assert all(torch.equal(before[name], one) for name, one in weights(tmp_path).items())
    assert evaluate(tmp_path, spec)


def test_layers_computed_again_give_the_same_bits(
    spec: RunSpec, run_of: RunOf, tmp_path: Path
) -> None:
    """With dropout in the adapters, whose draws are repeated too."""
    spec = replace(spec, lora_rank=2)
    train(tmp_path, replace(spec, gradient_checkpointing=True))
    whole, found = weights(run_of(spec)), weights(tmp_path)
    assert [name for name in whole if not torch.equal(whole[name], found[name])] == []
    assert metrics_of(tmp_path) == metrics_of(run_of(spec))


def test_a_look_at_held_out_records_changes_nothing_else(
    spec: RunSpec, run_of: RunOf, tmp_path: Path
) -> None:
    spec = replace(spec, lora_rank=2)
    train(tmp_path, replace(spec, eval_every=2))
    found = dict(metrics_of(tmp_path))
    looked = [step for step, told in found.items() if "held_out_loss" in told]
    assert looked == [2, 4, 6]
    assert found[6]["held_out_loss"] < found[2]["held_out_loss"]
    plain = [
        (step, {name: one for name, one in told.items() if not name.startswith("held_out")})
        for step, told in found.items()
    ]
    assert plain == metrics_of(run_of(spec))
    whole = weights(run_of(spec))
    assert all(torch.equal(whole[name], one) for name, one in weights(tmp_path).items())


def test_a_stop_while_it_looks_keeps_the_step_before(
    spec: RunSpec, run_of: RunOf, tmp_path: Path
) -> None:
    spec = replace(spec, lora_rank=2)
    look = replace(spec, eval_every=2)
    with pytest.MonkeyPatch.context() as patch:
        train_until(StopAt(patch, "training.runtime.run:at_rest", time=2), tmp_path, look)
    assert saved_steps(tmp_path / "checkpoints")[-1] == 4
    train(tmp_path, look)
    whole = weights(run_of(spec))
    assert all(torch.equal(whole[name], one) for name, one in weights(tmp_path).items())


def test_kto_of_a_single_prompt_has_no_reference_point(tiny_folder: Path, tmp_path: Path) -> None:
    """Its own response is no other prompt's: with one in its place the point would follow what is learned."""
    texts = [f"{word} {number}" for number in range(8) for word in ("good", "bad")]
    alone = replace(
        judged_group(0),
        candidates=tuple(CandidateText(id=text, text=text) for text in texts),
        pairs=tuple(Pair(chosen=f"good {n}", rejected=f"bad {n}") for n in range(8)),
    )
    write_groups(tmp_path / "snapshot", [alone])
    spec = KtoSpec(
        model=str(tiny_folder), data=str(tmp_path / "snapshot"), learning_rate=1e-2, epochs=4.0
    )
    told = train(tmp_path / "run", spec)
    assert told["records"]["prompts_without_another"] == 1
    assert [one["reference_point"] for _, one in metrics_of(tmp_path / "run")] == [0.0] * 4
