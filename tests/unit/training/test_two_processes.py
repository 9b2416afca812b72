"""Two processes of torchrun, joined by gloo, equal one; the first of them alone writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.trainers.runs import metrics_of, train
from training.runtime.checkpoint import saved_steps
from training.spec.runs import DpoSpec, KtoSpec, RewardModelSpec, RunSpec, SftSpec, spec_to_dict

KINDS = (SftSpec, RewardModelSpec, DpoSpec)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def torchrun(*folders: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *TORCHRUN, "-m", "tests.unit.training.two_processes", *map(str, folders)],
        env=os.environ | {"CONCORD_TORCH_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def written(folder: Path, spec: RunSpec) -> Path:
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(spec_to_dict(spec)))
    return folder


@pytest.fixture(scope="module")
def specs(tiny_folder: Path, snapshot: Path) -> dict[str, RunSpec]:
    """Five groups a step and an odd last batch: the two shares are never equal."""
    made = [
        kind(
            model=str(tiny_folder),
            data=str(snapshot),
            learning_rate=1e-3,
            groups_per_step=5,
            checkpoint_every=2,
        )
        for kind in KINDS
    ]
    return {one.kind: one for one in made}


@pytest.fixture(scope="module")
def together(specs: dict[str, RunSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("together")
    done = torchrun(*(written(place / kind, spec) for kind, spec in specs.items()))
    assert done.returncode == 0, done.stderr[-2000:]
    return place


@pytest.mark.parametrize("kind", [one.kind for one in KINDS])
def test_two_processes_equal_one(
    together: Path, specs: dict[str, RunSpec], tmp_path: Path, kind: str
) -> None:
    train(tmp_path / "alone", specs[kind])
    alone, both = metrics_of(tmp_path / "alone"), metrics_of(together / kind)
    assert [step for step, _ in both] == [1, 2, 3, 4, 5]
    for (_, one), (_, two) in zip(alone, both, strict=True):
        assert two == pytest.approx(one, abs=1e-6, rel=1e-5)
    weights = [
        load_file(folder / "artifact" / "model.safetensors")
        for folder in (tmp_path / "alone", together / kind)
    ]
    torch.testing.assert_close(*weights, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [one.kind for one in KINDS])
def test_the_first_process_alone_writes(together: Path, kind: str) -> None:
    events = [
        json.loads(one) for one in (together / kind / "events.jsonl").read_text().splitlines()
    ]
    counted = [one["kind"] for one in events]
    assert (counted.count("started"), counted.count("finished")) == (1, 1)
    assert saved_steps(together / kind / "checkpoints") == [4, 5]
    assert json.loads((together / kind / "result.json").read_text())["status"] == "done"


def test_an_algorithm_of_one_process_says_so(specs: dict[str, RunSpec], tmp_path: Path) -> None:
    plain = KtoSpec(model=specs["sft"].model, data=specs["sft"].data)
    done = torchrun(written(tmp_path / "run", plain))
    assert done.returncode != 0
    assert "trains in one process, and torchrun started 2" in done.stderr
