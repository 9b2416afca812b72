"""The server sampler against a real HTTP server that speaks vLLM's protocol with a tiny model."""

import json
import math
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.unit.training.trainers.runs import CPU, StopAt, metrics_of, train, train_until
from training.models.load import load_policy
from training.models.lora import add_lora
from training.models.reward import new_reward_model, save_reward_model
from training.models.tiny import tiny_tokenizer
from training.rollout.sampler import Knobs, LocalSampler
from training.rollout.server import Manners, ServerSampler
from training.spec.errors import SamplerFailed, SpecError
from training.spec.rollouts import GrpoSpec
from training.spec.runs import spec_from_dict

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
KNOBS = Knobs(2, 1.0, 1.0, 6, 17)
PROMPTS = [(5, 6, 7), (8, 9), (5, 6, 7)]
HASTY = Manners(concurrency=2, attempts=3, first_wait=0.0, timeout=20)


class Engine:
    """What the server knows: its base model, the adapters loaded, what it was asked, how it misbehaves."""

    def __init__(self, base: Path) -> None:
        self.base, self.lock = base, threading.Lock()
        self.loaded: dict[str, LocalSampler] = {}
        self.log: list[tuple[str, dict]] = []
        self.answers: list[tuple[int, dict]] = []  # given first, in this order
        self.tells_ids = True
        self.heeds_adapters = True
        self.sees = True  # the folder of the run

    def handle(self, path: str, body: dict) -> tuple[int, dict]:
        with self.lock:
            self.log.append((path, body))
            if self.answers:
                return self.answers.pop(0)
            return getattr(self, path.removeprefix("/v1/"))(body)

    def load_lora_adapter(self, body: dict) -> tuple[int, dict]:
        if self.sees is False:
            said = (
                f"Loading lora {body['lora_name']} failed: No adapter found for {body['lora_path']}"
            )
            return 404, {"error": {"message": said, "type": "NotFoundError"}}
        if body["lora_name"] in self.loaded:
            return 400, {"message": "The lora adapter has already been loaded."}
        model = AutoModelForCausalLM.from_pretrained(self.base)
        if self.heeds_adapters:
            model = PeftModel.from_pretrained(model, body["lora_path"]).merge_and_unload()
        self.loaded[body["lora_name"]] = LocalSampler(model.eval(), tiny_tokenizer())
        return 200, {}

    def unload_lora_adapter(self, body: dict) -> tuple[int, dict]:
        return (200 if self.loaded.pop(body["lora_name"], None) else 404), {}

    def completions(self, body: dict) -> tuple[int, dict]:
        if body["model"] not in self.loaded:
            return 404, {"message": "no such model"}
        knobs = Knobs(*(body[one] for one in ("n", "temperature", "top_p", "max_tokens", "seed")))
        [drawn] = self.loaded[body["model"]].sample_tokens([body["prompt"]], knobs)
        told = "logprobs" in body
        choices = [
            {
                "index": at,
                "text": one.text,
                "finish_reason": "stop" if one.finished else "length",
                **({"token_ids": list(one.token_ids)} if self.tells_ids else {}),
                **({"logprobs": {"token_logprobs": list(one.logprobs)}} if told else {}),
            }
            for at, one in enumerate(drawn)
        ]
        return 200, {"choices": choices[::-1]}

    def named(self, path: str) -> list[dict]:
        return [body for asked, body in self.log if asked == f"/v1/{path}"]


@pytest.fixture
def engine(tiny_folder):
    """Listening at ``engine.url`` while the test runs."""
    made = Engine(tiny_folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = made.handle(self.path, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Location", f"{made.url}/elsewhere")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def spec(engine, tiny_folder, snapshot, tmp_path):
    reward = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3)
    save_reward_model(reward, tmp_path / "reward")
    return GrpoSpec(
        model=str(tiny_folder),
        data=str(snapshot),
        reward_model=str(tmp_path / "reward"),
        sampler_url=engine.url,
        lora_rank=2,
        updates=3,
        groups_per_step=4,
        rollouts_per_update=8,
        max_response_tokens=6,
        learning_rate=0.01,
        warmup_share=0.0,
        checkpoint_every=1,
        target_kl=0.0,
    )


@pytest.fixture
def sampler(engine, spec, tmp_path):
    policy = load_policy(spec.model, precision="float32", device=CPU)
    add_lora(policy.model, spec)
    return ServerSampler(engine.url, policy, tmp_path / "run", heed=lambda: None, manners=HASTY)


def test_responses_come_as_the_servers_tokens(sampler, engine):
    with sampler.following(0):
        found = sampler.sample_tokens(PROMPTS, KNOBS)
    engine.tells_ids = False
    with sampler.following(1):
        again = sampler.sample_tokens(PROMPTS, KNOBS)
    assert [len(one) for one in found] == [2, 2, 2]
    assert [[one.text for one in row] for row in again] == [
        [one.text for one in row] for row in found
    ]
    assert all(1 <= len(one.token_ids) <= 6 for row in (*found, *again) for one in row)


def test_at_temperature_one_the_servers_logprobs_are_told(sampler, engine):
    """At another it would tell those before the temperature, which are of no policy here."""
    with sampler.following(0):
        told = sampler.sample_tokens(PROMPTS, KNOBS)
        untold = sampler.sample_tokens(PROMPTS, KNOBS._replace(temperature=0.9))
    engine.tells_ids = False
    with sampler.following(1):
        encoded = sampler.sample_tokens(PROMPTS, KNOBS)
    assert all(len(one.logprobs) == len(one.token_ids) for row in told for one in row)
    assert all(number < 0 for row in told for one in row for number in one.logprobs)
    assert {one.logprobs for row in (*untold, *encoded) for one in row} == {()}


@pytest.mark.parametrize(("temperature", "is_known"), [(1.0, True), (0.9, False)])
def test_the_gap_between_server_and_trainer_is_told(spec, tmp_path, temperature, is_known):
    train(tmp_path / "run", replace(spec, updates=2, temperature=temperature))
    gaps = [told.get("sampler_gap") for _, told in metrics_of(tmp_path / "run")]
    assert [gap is not None for gap in gaps] == [is_known] * 2
    assert all(gap < 1e-4 for gap in gaps if gap is not None)


def logged(folder):
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [one["data"]["message"] for one in events if one["kind"] == "log"]


@pytest.mark.parametrize("temperature", [1.0, 0.9])
def test_a_server_of_another_model_is_refused_before_anything_is_sampled(
    spec, engine, tmp_path, temperature
):
    """Weights twice as large are nats away; the run is told at any temperature."""
    engine.base = tmp_path / "other"
    other = AutoModelForCausalLM.from_pretrained(spec.model)
    for weight in other.model.layers.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    other.save_pretrained(engine.base)
    with pytest.raises(
        SamplerFailed, match=r"another model than the run's.* nats a token .*; then resume"
    ):
        train(tmp_path / "run", replace(spec, temperature=temperature))
    assert len(engine.named("completions")) == 2 * 4


def test_a_server_that_heeds_no_adapter_is_refused(spec, engine, tmp_path):
    engine.heeds_adapters = False
    with pytest.raises(SamplerFailed, match="answers without the adapters that it loads"):
        train(tmp_path / "run", spec)


def test_a_server_that_tells_no_logprobs_is_not_probed_and_the_log_says_so(spec, engine, tmp_path):
    engine.tells_ids = False
    train(tmp_path / "run", replace(spec, updates=1))
    assert [one for one in logged(tmp_path / "run") if "could not be checked" in one]


def test_a_server_that_is_off_by_more_than_rounding_is_told_in_the_log(spec, engine, tmp_path):
    """0.05 nats a token may be a number format, or weights that were quantized; it is no other model."""
    tell = engine.completions
    engine.completions = lambda body: off_by(0.05, tell(body))
    train(tmp_path / "run", replace(spec, updates=1))
    [told] = [one for one in logged(tmp_path / "run") if "above 0.01" in one]
    assert "0.05 nats a token from the trainer's" in told


def off_by(nats, answer):
    """The answer with log-probs that are so many nats off."""
    for choice in answer[1]["choices"]:
        told = choice.get("logprobs", {})
        told["token_logprobs"] = [one - nats for one in told.get("token_logprobs", [])]
    return answer


def test_a_probe_leaves_the_policy_as_it_was(spec, tmp_path):
    """Bit for bit: a run that is probed learns what one without a probe learns."""
    train(tmp_path / "probed", spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.rollout.server.Probe.of", lambda *_: None)
        train(tmp_path / "plain", spec)
    assert metrics_of(tmp_path / "probed") == metrics_of(tmp_path / "plain")


def test_a_redirect_is_refused_and_followed_nowhere(sampler, engine):
    engine.answers = [(302, {})]
    with pytest.raises(SamplerFailed, match="302"), sampler.following(0):
        pass
    assert [path for path, _ in engine.log] == ["/v1/load_lora_adapter"]


def test_equal_prompts_draw_apart_and_every_request_is_repeatable(sampler, engine):
    with sampler.following(0):
        first, again = (sampler.sample_tokens(PROMPTS, KNOBS) for _ in range(2))
    assert first == again
    assert len({body["seed"] for body in engine.named("completions")}) == len(PROMPTS)


def test_an_end_token_that_the_server_leaves_out_is_put_in(sampler, engine):
    choice = {"index": 0, "text": "a", "finish_reason": "stop", "token_ids": [66]}
    with sampler.following(0):
        engine.answers = [(200, {"choices": [choice, choice | {"index": 1, "token_ids": [66, 1]}]})]
        [[one, other]] = sampler.sample_tokens(PROMPTS[:1], KNOBS)
    assert one.token_ids == other.token_ids == (66, 1)
    assert one.finished


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({"token_logprobs": [-0.5]}, [-0.5, None]),
        ({"token_logprobs": [-0.5, None]}, [-0.5, None]),
        ({"token_logprobs": [-0.5, -0.1, -0.2]}, []),
        ({"token_logprobs": []}, []),
        (None, []),
    ],
    ids=["no end token", "null", "too many", "empty", "nothing"],
)
def test_logprobs_that_fit_the_tokens_are_taken(sampler, engine, said, understood):
    choice = {"text": "a", "finish_reason": "stop", "token_ids": [66], "logprobs": said}
    with sampler.following(0):
        engine.answers = [(200, {"choices": [choice, choice | {"index": 1}]})]
        [[one, _]] = sampler.sample_tokens(PROMPTS[:1], KNOBS)
    assert [None if math.isnan(number) else number for number in one.logprobs] == understood


def test_the_server_follows_the_policy_and_forgets_what_it_was(spec, engine, tmp_path):
    train(tmp_path / "run", spec)
    names = [body["lora_name"] for body in engine.named("load_lora_adapter")]
    assert [name.rpartition("-")[2] for name in names] == ["probe", "0", "1", "2"]
    assert list(engine.loaded) == names[3:]
    weights = load_file(tmp_path / "run" / "adapters" / "2" / "adapter_model.safetensors")
    assert max(one.abs().max() for name, one in weights.items() if "lora_B" in name) > 0
    assert {body["model"] for body in engine.named("completions")} == set(names)


def test_at_the_first_step_kl_is_zero_and_the_ratio_one(spec, tmp_path):
    train(tmp_path / "run", replace(spec, updates=1, update_epochs=1, minibatches=1))
    [(_, numbers)] = metrics_of(tmp_path / "run")
    assert (numbers["kl"], numbers["ratio"], numbers["clip_fraction"]) == (0.0, 1.0, 0.0)


def test_a_resumed_run_equals_one_that_never_stopped(spec, tmp_path):
    train(tmp_path / "whole", spec)
    with pytest.MonkeyPatch.context() as patch:
        stop = StopAt(patch, "training.trainers.grpo:tell_update", time=2)
        train_until(stop, tmp_path / "parts", spec)
    torch.rand(5)
    train(tmp_path / "parts", spec)
    whole, parts = (
        load_file(tmp_path / one / "artifact" / "model.safetensors") for one in ("whole", "parts")
    )
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []


def again(spec, sampler, policy=None, folder=None):
    """The sampler of a process that was started anew."""
    return ServerSampler(
        spec.sampler_url,
        policy or sampler._policy,
        folder or sampler._folder,
        heed=lambda: None,
        manners=HASTY,
    )


def test_an_adapter_of_that_name_is_replaced(sampler, engine, spec):
    with sampler.following(0):
        [name] = engine.loaded
        engine.loaded[name] = None
    with again(spec, sampler).following(0):
        assert engine.loaded[name] is not None


def test_a_run_that_begins_anew_in_its_folder_takes_another_name(sampler, engine, spec):
    """A server keeps what it computed with an adapter of that name and place, whatever its weights."""
    with sampler.following(1):
        [name] = engine.loaded
    for weight in (one for key, one in sampler._policy.model.named_parameters() if "lora_B" in key):
        torch.nn.init.ones_(weight)
    with again(spec, sampler).following(1):
        assert len({name, *engine.loaded}) == 2


def test_a_run_of_the_same_name_elsewhere_keeps_its_adapter(sampler, engine, spec, tmp_path):
    policy = load_policy(spec.model, precision="float32", device=CPU)
    add_lora(policy.model, spec)
    other = again(spec, sampler, policy, tmp_path / "elsewhere" / "run")
    with sampler.following(0), other.following(0):
        assert len(engine.loaded) == 2


def test_a_busy_server_is_asked_again(sampler, engine):
    engine.answers = [(503, {}), (429, {})]
    with sampler.following(0):
        assert len(engine.named("load_lora_adapter")) == 3


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([(500, {})] * 3, "did not answer load_lora_adapter in 3 tries"),
        ([(404, {})], "loads no adapters. Start vLLM with --enable-lora"),
        ([(400, {}), (404, {}), (400, {"message": "rank 99"})], "must see that folder.*rank 99"),
    ],
)
def test_a_server_that_cannot_follow_is_named(sampler, engine, answers, sentence):
    engine.answers = list(answers)
    with pytest.raises(SamplerFailed, match=sentence), sampler.following(0):
        pass


def test_a_server_that_does_not_see_the_folder_is_told_from_one_without_adapters(sampler, engine):
    engine.sees = False
    with (
        pytest.raises(SamplerFailed, match=r"must see that folder.*No adapter found"),
        sampler.following(0),
    ):
        pass


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, {"choices": []}), "gave 0 responses instead of 2"),
        ((200, {"text": "?"}), "not one of the completions API"),
        ((422, {"message": "top_k"}), "did not answer a prompt: 422.*top_k"),
    ],
)
def test_a_wrong_answer_is_named(sampler, engine, answer, sentence):
    with sampler.following(0):
        engine.answers = [answer]
        with pytest.raises(SamplerFailed, match=sentence):
            sampler.sample_tokens(PROMPTS[:1], KNOBS)


def test_a_server_that_is_away_is_named(sampler):
    sampler._url = "http://127.0.0.1:9/v1"
    with pytest.raises(SamplerFailed, match="ConnectError"), sampler.following(0):
        pass


def test_without_adapters_a_server_cannot_follow():
    row = {
        "kind": "grpo",
        "model": "m",
        "data": "d",
        "reward_model": "r",
        "sampler_url": "http://s/v1",
    }
    with pytest.raises(SpecError, match=r"sampler_url: .* set lora_rank"):
        spec_from_dict(row)
