"""PPO and GRPO on a real vLLM server, on the CPU: it answers with the policy as it is now, update by update."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.unit.training.trainers.runs import CPU, StopAt, metrics_of, train, train_until
from tests.waiting import eventually
from training.models.load import LoadedModel, load_policy
from training.models.lora import add_lora
from training.models.reward import new_reward_model, save_reward_model
from training.rollout.sampler import Knobs, Sample
from training.rollout.server import ServerSampler
from training.spec.errors import SamplerFailed
from training.spec.rollouts import SAMPLER_KEY, GrpoSpec, PpoSpec, RolloutSpec

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
KEY = "of-this-test"
PROMPTS = [(5, 6, 7), (8, 9), (5, 6, 7)]
KNOBS = Knobs(n=2, temperature=1.0, top_p=1.0, max_tokens=6, seed=17)
OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
SETTINGS = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_API_KEY": KEY}
SETTINGS |= {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}  # small: it is a test


@pytest.fixture(scope="module")
def server(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a vLLM that serves the tiny model."""
    python = os.environ.get("CONCORD_TEST_VLLM") or pytest.fail(
        "CONCORD_TEST_VLLM names the Python of an environment with vLLM; `make test-sampler` makes one."
    )
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny_folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--enable-lora", "--max-lora-rank", "8"]
    command += ["--dtype", "float32", "--max-model-len", "256", "--enforce-eager"]
    said = tmp_path_factory.mktemp("vllm") / "server.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=os.environ | OFFLINE | SETTINGS,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually(lambda: is_ready(process, port, said), seconds=1200, every=1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its engine is a process of its own


def is_ready(process: subprocess.Popen[bytes], port: int, said: Path) -> bool:
    assert process.poll() is None, said.read_text()[-2000:]
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.TransportError:
        return False


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SAMPLER_KEY, KEY)


def spec_of(
    kind: type[RolloutSpec], server: str, tiny_folder: Path, data: Path, to: Path
) -> RolloutSpec:
    reward = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3)
    save_reward_model(reward, to / "reward")
    return kind(
        model=str(tiny_folder),
        data=str(data),
        reward_model=str(to / "reward"),
        sampler_url=server,
        lora_rank=2,
        updates=3,
        groups_per_step=4,
        rollouts_per_update=8,
        max_response_tokens=6,
        temperature=1.0,
        learning_rate=0.05,
        warmup_share=0.0,
        checkpoint_every=1,
        target_kl=0.0,
    )


@pytest.fixture(params=[GrpoSpec, PpoSpec], ids=["grpo", "ppo"])
def spec(request, server, tiny_folder, snapshot, tmp_path) -> RolloutSpec:
    return spec_of(request.param, server, tiny_folder, snapshot, tmp_path)


@pytest.fixture
def policy(server, tiny_folder, snapshot, tmp_path) -> LoadedModel:
    found = load_policy(str(tiny_folder), precision="float32", device=CPU)
    add_lora(found.model, spec_of(GrpoSpec, server, tiny_folder, snapshot, tmp_path))
    return found


def change(policy: LoadedModel, scale: float) -> None:
    """Move the adapter: as it begins, it adds nothing."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in policy.model.named_parameters():
            if "lora_B" in name:
                weight.copy_(scale * torch.randn(weight.shape, generator=draw))


def logprobs_of(policy: LoadedModel, prompt: tuple[int, ...], sample: Sample) -> list[float]:
    """Those of the policy itself, by a plain forward."""
    ids = torch.tensor([[*prompt, *sample.token_ids]])
    with torch.no_grad():
        logits = policy.model(ids).logits[0, len(prompt) - 1 : -1].float()
    tokens = torch.tensor(sample.token_ids)[:, None]
    return logits.log_softmax(-1).gather(1, tokens)[:, 0].tolist()


def test_samples_follow_the_adapter_there_and_back(server, policy, tmp_path):
    sampler = ServerSampler(server, policy, tmp_path / "run", heed=lambda: None)
    drawn = []
    for update, scale in enumerate((0.0, 1.0, 0.0)):
        change(policy, scale)
        with sampler.following(update):
            rows = sampler.sample_tokens(PROMPTS, KNOBS)
        drawn.append(rows)
        for prompt, row in zip(PROMPTS, rows, strict=True):
            for one in row:
                assert one.logprobs == pytest.approx(logprobs_of(policy, prompt, one), abs=1e-3)
    first, moved, back = ([[one.token_ids for one in row] for row in rows] for rows in drawn)
    assert first == back
    assert first != moved


def models_of(server: str) -> set[str]:
    """The names that the server answers to."""
    listed = httpx.get(f"{server}/models", headers={"Authorization": f"Bearer {KEY}"}).json()
    return {one["id"] for one in listed["data"]}


def test_a_run_samples_on_the_server_which_keeps_its_newest_adapter_alone(spec, server, tmp_path):
    before = models_of(server)
    train(tmp_path / "run", spec)
    told = [numbers for _, numbers in metrics_of(tmp_path / "run")]
    assert [one["sampler_gap"] < 1e-3 for one in told] == [True] * 3
    assert max(one["kl"] for one in told) > 0.01, "it moved, and the server moved with it"
    (left,) = models_of(server) - before
    assert left.startswith("run-")
    assert left.endswith("-2")


def test_a_server_of_another_model_is_refused(spec, tiny_folder, tmp_path):
    """At the temperature of the presets too, at which a run compares no log-probs."""
    torch.manual_seed(2)
    other = AutoModelForCausalLM.from_pretrained(tiny_folder)
    for weight in other.model.layers.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    other.save_pretrained(tmp_path / "other")
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path / "other")
    spec = replace(spec, model=str(tmp_path / "other"), temperature=0.9)
    with pytest.raises(SamplerFailed, match="serves another model than the run's"):
        train(tmp_path / "run", spec)


def test_a_run_that_stopped_goes_on_there(spec, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        place = f"training.trainers.{spec.kind}:tell_update"
        train_until(StopAt(patch, place, time=2), tmp_path / "run", spec)
    train(tmp_path / "run", spec)
    assert [step for step, _ in metrics_of(tmp_path / "run")] == [1, 2, 3], "none was done again"


def test_a_run_that_begins_anew_in_its_folder_draws_nothing_of_the_one_before(
    server, policy, tmp_path
):
    """vLLM keeps what it computed of a prompt by the adapter's name and place, also of one that was unloaded."""
    long = tuple(5 + at % 40 for at in range(200))  # more than a block (128) of its cache
    for scale in (1.0, 0.5):
        change(policy, scale)
        sampler = ServerSampler(server, policy, tmp_path / "run", heed=lambda: None)
        with sampler.following(1):
            [[one, _]] = sampler.sample_tokens([long], KNOBS)
        assert one.logprobs == pytest.approx(logprobs_of(policy, long, one), abs=1e-3)


def test_a_folder_that_the_server_does_not_see_is_told(server, policy, tmp_path):
    sampler = ServerSampler(server, policy, tmp_path / "run", heed=lambda: None)
    with (
        sampler.following(0),
        pytest.raises(SamplerFailed, match=r"must see that folder.*No adapter found"),
    ):
        sampler._load("unseen", tmp_path / "nowhere")
