"""What `make bench-training` says rests on its sample, its memory and its arithmetic."""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.training import __main__ as bench
from tests.bench.training.environments import given_python
from tests.bench.training.material import Padding, spread
from tests.bench.training.meter import SAID, SWITCH, Job, Meter, measure_all
from tests.bench.training.rows import ROWS
from tests.bench.training.table import Found, header, line, peak_tflops
from training.spec.records import CandidateText, Group, Turn

GROUPS = [
    Group(
        prompt_id=f"{number:03}",
        prompt=(Turn(role="user", content="q" * number),),
        candidates=(CandidateText(id="0", text="a" * (number % 7)),),
        pairs=(),
    )
    for number in range(1, 400)
]


def length(group: Group) -> int:
    return len(group.prompt[0].content) + len(group.candidates[0].text)


def test_a_sample_is_spread_as_all_rows_are() -> None:
    sample = spread(GROUPS, 16)
    assert len({one.prompt_id for one in sample}) == 16
    means = [statistics.fmean(map(length, rows)) for rows in (sample, GROUPS)]
    assert means[0] == pytest.approx(means[1], rel=0.01)
    assert max(map(length, sample)) > 0.95 * max(map(length, GROUPS))


def test_no_more_rows_are_sampled_than_there_are() -> None:
    assert len(spread(GROUPS[:5], 16)) == 5


def told(**other: Any) -> dict[str, Any]:
    usual = {"units": 10.0, "timed": 1.0, "seconds": 2.0, "flops": 100.0, "losses": [0.5, 0.25]}
    return usual | {"activations_mb": 20.0, "peak_mb": 1.0, "load": 1.0, "device": "cpu"} | other


def test_a_line_tells_ratios_parity_and_bars() -> None:
    mine = told()
    theirs = told(seconds=7.0, flops=500.0, losses=[0.5, 0.251], activations_mb=100.0)
    found = Found([[mine, theirs]], [mine, theirs], [mine, theirs])
    cells = line(ROWS[0], "llama", Padding(100, 348), found, device="cpu").split(" | ")
    assert cells[2:9] == [
        "5 pairs", "1.43", "3.5", "0.200", "3.48", "20 / 100 (0.20)", "1 / 1",
    ]  # fmt: skip
    assert cells[9] == "0.500000, 1e-03"
    assert cells[11] == "CPU MISSED, FLOPs met, memory met |"


def test_a_line_tells_losses_of_a_batch_that_both_were_given_and_not_those_of_own_samples() -> None:
    """0.02 to 0.02001 and 0.5 to 0.503."""
    ppo = next(row for row in ROWS if row.case == "ppo")
    own = [told(losses=[0.3]), told(losses=[0.1])]
    given = [
        told(losses=[0.02], value_losses=[0.5]),
        told(losses=[0.02001], value_losses=[0.503]),
    ]
    cells = line(ppo, "llama", Padding(1, 1), Found([own], own, [], given), device="cpu")
    assert cells.split(" | ")[9] == "policy 0.020000, 1e-05; value 0.500000, 3e-03"


def test_the_peer_learns_anew_where_ours_left_it_another_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours runs once, and the peer once for each batch."""
    measured: list[str] = []
    ppo = next(row for row in ROWS if row.case == "ppo")
    folder = tmp_path / "material" / "llama"
    folder.mkdir(parents=True)

    def measure(_python: Path, side: str, jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
        measured.extend(f"{side} {one.case} {one.steps}" for one in jobs)
        return iter([told() for _ in jobs])

    monkeypatch.setattr(bench, "_told", measure)
    monkeypatch.setattr(bench, "PLACE", tmp_path)
    monkeypatch.setattr(bench, "write_rows", lambda *_: Padding(1, 1))
    measuring = bench.Bench(
        data=tmp_path,
        scratch=tmp_path,
        memory=bench.Memory(tmp_path / "told.json", is_fresh=False),
        device="cpu",
        turns=1,
        peers=tmp_path,
    )
    (tmp_path / "trl-1.12" / "bin").mkdir(parents=True)
    (tmp_path / "trl-1.12" / "bin" / "python").touch()
    for kernel, batch in (("", "first"), ("", "first"), ("", "second"), ("flex", "third")):
        monkeypatch.setenv(SWITCH, kernel)
        (folder / f"ppo_losses-cpu-{kernel or 'default'}.json").write_text(batch)
        measuring._losses(ppo, "llama")
    both = ["ours ppo_losses 1", "peer ppo_losses 1"]
    assert measured == [*both, "peer ppo_losses 1", *both]
    monkeypatch.setenv(SWITCH, "")
    measuring._losses(ppo, "llama")
    assert measured[5:] == []  # the other choice wrote over nothing


def test_a_gpu_line_tells_tokens_and_the_share_of_its_peak() -> None:
    """9 of 10 units in 2 s are 4.5 a second, of 10 tokens and 98.9e12 useful FLOPs each: 45 and 45 %."""
    mine = told(device="NVIDIA H200", timed=0.9, flops=989e12)
    theirs = told(device="NVIDIA H200", timed=0.9, seconds=4.0, flops=2000e12)
    found = Found([[mine, theirs]], [mine, theirs], [])
    cells = line(ROWS[0], "llama-1b", Padding(100, 348), found, device="cuda").split(" | ")
    assert cells[-2:] == ["45 / 22", "45.0% / 22.5% |"]
    assert len(cells) == len(header("cuda").splitlines()[0].split(" | "))


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
    ],
)
def test_the_peak_is_that_of_the_very_card(name: str, peak: float | None) -> None:
    assert peak_tflops(name) == peak


JOB = Job(case="sft", model="llama", measure="time", steps=1, material="", scratch="")


def test_a_job_is_measured_once_until_its_code_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def measure(_python: Path, side: str, jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
        measured.extend(side for _ in jobs)
        return iter([told() for _ in jobs])

    monkeypatch.setattr(bench, "_told", measure)

    def ask(side: str) -> None:
        bench.Memory(tmp_path / "told.json", is_fresh=False).told(Path(), side, JOB, turn=0)

    for side in ("ours", "peer", "ours"):
        ask(side)
    assert measured == ["ours", "peer"]
    monkeypatch.setitem(bench.CODE, "ours", [Path(__file__)])
    ask("ours")
    ask("peer")
    assert measured == ["ours", "peer", "ours"]
    monkeypatch.setenv("CONCORD_ATTENTION", "flex")
    ask("ours")
    ask("peer")
    assert measured == ["ours", "peer", "ours", "ours"]


def test_of_several_jobs_in_a_process_one_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one in the middle failed: it is not tried again in this run, and is told by name."""
    asked: list[int] = []

    def measure(_python: Path, _side: str, jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
        asked.extend(one.steps for one in jobs)
        return iter([told(), {"failed": "Out of memory."}, told()][: len(jobs)])

    monkeypatch.setattr(bench, "_told", measure)
    memory = bench.Memory(tmp_path / "told.json", is_fresh=False)
    jobs = [replace(JOB, steps=steps) for steps in (1, 2, 3)]
    memory.learn(Path(), "peer", jobs, turn=0)
    for one in (jobs[0], jobs[2]):
        assert memory.told(Path(), "peer", one, turn=0)["units"] == 10.0
    with pytest.raises(bench.MeasuringError, match=r"peer sft llama failed: Out of memory\."):
        memory.told(Path(), "peer", jobs[1], turn=0)
    assert asked == [1, 2, 3]


def test_a_process_tells_of_each_job_as_it_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(job: Job, meter: Meter) -> None:
        if job.steps == 2:
            raise RuntimeError("No such rows.")
        meter.units = 8.0

    jobs = [json.dumps(asdict(replace(JOB, steps=steps))) for steps in (1, 2, 3)]
    monkeypatch.setattr("sys.argv", ["ours", *jobs])
    measure_all({"sft": measure})
    lines = [one for one in capsys.readouterr().out.splitlines() if one.startswith(SAID)]
    first, second, third = (json.loads(one.removeprefix(SAID)) for one in lines)
    assert (first["units"], third["units"]) == (8.0, 8.0)
    assert "No such rows." in second["failed"]


def test_an_environment_that_was_made_by_hand_is_used_as_it_is(tmp_path: Path) -> None:
    python = tmp_path / "trl-1.16" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert given_python("trl-1.16", tmp_path) == python
    with pytest.raises(SystemExit, match=r"trl-1\.12"):
        given_python("trl-1.12", tmp_path)


@pytest.mark.parametrize("case", ["hh_rankings", "oasst_rankings"])
@pytest.mark.parametrize(("flops", "verdict"), [(8.0, "FLOPs met"), (9.0, "FLOPs MISSED")])
def test_rankings_are_held_to_a_twelfth_of_the_peers_flops(
    case: str, flops: float, verdict: str
) -> None:
    """8 of 100 is less than 1/12, 9 of 100 is more."""
    (row,) = (one for one in ROWS if one.case == case)
    both = [told(flops=flops), told(flops=100.0)]
    found = Found([both], both, [])
    assert verdict in line(row, "llama", Padding(100, 900), found, device="cpu")
