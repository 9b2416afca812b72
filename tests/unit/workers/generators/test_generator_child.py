"""The child that samples and scores: what it appends for good, refused and broken requests."""

import json
import shutil
import weakref
from dataclasses import replace

import pytest
import torch

from training.data.chat import encode_prompt
from training.models.load import save_model
from training.models.reward import (
    CriterionHeads,
    new_reward_model,
    save_calibration,
    save_criteria,
    save_reward_model,
)
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.rollout.scoring import scorer_of
from training.spec.records import Turn
from workers.generators import child
from workers.generators.base import Ask, SamplingSettings
from workers.generators.local import (
    ANSWERS_FILE,
    REQUEST_FILE,
    chats_task,
    sample_task,
    score_many_task,
    score_task,
)

SETTINGS = SamplingSettings(n=2, temperature=0.9, top_p=1.0, max_tokens=3, seed=5)
POSITIONS = 512  # of a tiny model with few
TURNS = [{"role": "user", "content": "Hi?"}]
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}hi"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tiny_llama().save_pretrained(folder)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = NO_SYSTEM
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A tiny model whose template shows what is asked, and its tokenizer."""
    folder, tokenizer = tmp_path_factory.mktemp("plain"), tiny_tokenizer()
    model = tiny_llama()
    model.config.max_position_embeddings = POSITIONS
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, tokenizer


def lines_of(folder, *tasks, is_guest=False):
    request = {"tasks": tasks, "stay_seconds": 60.0 if is_guest else 0}
    (folder / REQUEST_FILE).write_text(json.dumps(request))
    child.main(folder, child.Held())
    *lines, end = [json.loads(line) for line in (folder / ANSWERS_FILE).read_text().splitlines()]
    assert end == {"done": True}
    return lines


def asks(*contents):
    return [
        Ask(prompt_id=number, turns=[{"role": "user", "content": one}])
        for number, one in enumerate(contents)
    ]


def test_every_prompt_gets_a_line_with_its_samples(tmp_path, model):
    lines = lines_of(tmp_path, sample_task("policy", str(model), asks("a", "b" * 50), SETTINGS))
    answered = {line["prompt"]: len(line["samples"]) for line in lines if "prompt" in line}
    assert (lines[0], answered) == ({"loaded": "policy"}, {0: 2, 1: 2})


def test_the_longest_prompts_come_first(tmp_path, model, monkeypatch):
    monkeypatch.setattr(child, "ROWS_AT_ONCE", {"cpu": 2, "cuda": 2})
    task = sample_task("policy", str(model), asks("a", "c" * 50, "b" * 20), SETTINGS)
    lines = lines_of(tmp_path, task)
    assert [line["prompt"] for line in lines if "prompt" in line] == [1, 2, 0]


def test_a_prompt_that_the_template_refuses_fails_alone(tmp_path, model):
    refused = Ask(prompt_id=9, turns=[{"role": "system", "content": "x"}, *TURNS])
    task = sample_task("policy", str(model), [*asks("a"), refused], SETTINGS)
    lines = {line["prompt"]: line for line in lines_of(tmp_path, task) if "prompt" in line}
    assert "no system turn" in lines[9]["reason"]
    assert len(lines[0]["samples"]) == 2


def sampling(monkeypatch, sampled):
    """From here on the child's sampler is asked at ``sampled(sampler, prompts, knobs)``."""
    monkeypatch.setattr(child.LocalSampler, "sampled", sampled)


def test_what_was_too_much_at_once_is_let_go_before_fewer_are_asked(tmp_path, model, monkeypatch):
    class Cache:
        """What rows hold while they are sampled."""

    whole, alive, rows, held = child.LocalSampler.sampled, [], [], weakref.WeakSet()

    def fits_one(sampler, prompts, knobs):
        alive.append(len(held))
        rows.append(sampler.rows)
        cache = Cache()
        held.add(cache)
        if sampler.rows > knobs.n:
            raise MemoryError
        yield from whole(sampler, prompts, knobs)

    monkeypatch.setattr(child, "ROWS_AT_ONCE", {"cpu": 8, "cuda": 8})
    sampling(monkeypatch, fits_one)
    lines = lines_of(tmp_path, sample_task("p", str(model), asks(*"abcd"), SETTINGS))
    assert [line["prompt"] for line in lines if line.get("samples")] == [0, 1, 2, 3]
    assert (alive, rows) == ([0] * 6, [8, 4, 2, 2, 2, 2])


def test_what_was_answered_before_memory_ended_is_told_once(tmp_path, model, monkeypatch):
    whole, asked = child.LocalSampler.sampled, []

    def ends_after_one(sampler, prompts, knobs):
        asked.append(len(prompts))
        for number, answer in enumerate(whole(sampler, prompts, knobs)):
            if number and sampler.rows > knobs.n:
                raise MemoryError
            yield answer

    sampling(monkeypatch, ends_after_one)
    lines = lines_of(tmp_path, sample_task("p", str(model), asks(*"abcde"), SETTINGS))
    assert sorted(line["prompt"] for line in lines if line.get("samples")) == [0, 1, 2, 3, 4]
    assert asked == [5, 4, 1, 1, 1]


def test_further_prompts_are_answered_as_responses_end(tmp_path, model, monkeypatch):
    """Two at a time of eight: each gives what it gives alone, and all are asked in one go."""
    asked, whole = [], child.LocalSampler.sampled

    def noted(sampler, prompts, knobs):
        asked.append((len(prompts), sampler.rows))
        return whole(sampler, prompts, knobs)

    sampling(monkeypatch, noted)
    settings = replace(SETTINGS, max_tokens=24)
    task = sample_task("p", str(model), asks(*"abcdefgh"), settings)

    def texts():
        lines = lines_of(tmp_path, task)
        (tmp_path / ANSWERS_FILE).unlink()
        return {line["prompt"]: line["samples"] for line in lines if "prompt" in line}

    together = texts()
    monkeypatch.setattr(child, "ROWS_AT_ONCE", {"cpu": 4, "cuda": 4})
    assert texts() == together
    assert asked == [(8, 16), (8, 4)]


def test_prompts_half_as_long_begin_a_part_of_more_at_once(model):
    task = sample_task("p", str(model), asks("a" * 600, "b" * 480, "c" * 30), SETTINGS)
    found = list(child.parts(task, rows=96, cached_tokens=812))
    assert [([one["id"] for one in part.prompts], part.at_once) for part in found] == [
        ([0, 1], 2),
        ([2], 31),
    ]


def test_a_prompt_longer_than_the_model_reads_tells_how_much_was_cut(tmp_path, plain):
    model, tokenizer = plain
    lines = lines_of(tmp_path, sample_task("p", str(model), asks("a" * 900, "short"), SETTINGS))
    cut = {line["prompt"]: line["prompt_tokens_cut"] for line in lines if "prompt" in line}
    turns = [Turn(role="user", content="a" * 900)]
    whole = encode_prompt(tokenizer, turns, max_tokens=10_000)
    assert cut == {0: len(whole.ids) - (POSITIONS - SETTINGS.max_tokens), 1: 0}
    assert len(lines[1]["samples"]) == 2


def test_a_prompt_is_read_as_far_as_the_model_has_positions(tmp_path, plain, monkeypatch):
    """Of 2,000 tokens none is cut, where a cache for each of 2 responses has room for them."""
    tiny_llama().save_pretrained(tmp_path / "long")
    plain[1].save_pretrained(tmp_path / "long")
    task = sample_task("p", str(tmp_path / "long"), asks("a" * 2000), SETTINGS)
    assert lines_of(tmp_path, task)[1]["prompt_tokens_cut"] == 0
    (tmp_path / ANSWERS_FILE).unlink()
    monkeypatch.setattr(child, "CACHED_TOKENS", {"cpu": 2 * 1500, "cuda": 2 * 1500})
    cut = lines_of(tmp_path, task)[1]["prompt_tokens_cut"]
    assert 2000 < cut + 1500 - SETTINGS.max_tokens < 2050  # the template is some tokens more


def test_a_prompt_that_is_wanted_whole_is_given_back_with_the_numbers(tmp_path, plain):
    model, _ = plain
    settings = replace(SETTINGS, whole_prompts=True)
    task = sample_task("judge", str(model), asks("a" * 900, "b", "c"), settings)
    lines = {line["prompt"]: line for line in lines_of(tmp_path, task) if "prompt" in line}
    assert (lines[0]["samples"], len(lines[1]["samples"]), len(lines[2]["samples"])) == ([], 2, 2)
    assert "longer than the model reads" in lines[0]["reason"]
    assert f"at most {POSITIONS - 3} beside an answer of 3" in lines[0]["reason"]
    assert [lines[1]["reason"], lines[2]["reason"]] == ["", ""]


def test_a_missing_model_fails_with_a_sentence_and_the_next_goes_on(tmp_path, model):
    bad = sample_task("bad", str(tmp_path / "missing"), asks("a"), SETTINGS)
    lines = lines_of(tmp_path, bad, sample_task("good", str(model), asks("a"), SETTINGS))
    assert lines[0]["key"] == "bad"
    assert "There is no model in" in lines[0]["failed"]
    assert lines[1] == {"loaded": "good"}


def test_a_corrupt_model_fails_with_a_sentence(tmp_path, model):
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"{}")
    line = lines_of(tmp_path, sample_task("bad", str(broken), asks("a"), SETTINGS))[0]
    assert "corrupt" in line["failed"]


def test_a_policy_is_no_reward_model(tmp_path, model):
    line = lines_of(tmp_path, score_task(str(model), TURNS, {"3": ("text", True)}))[0]
    assert (line["key"], "failed" in line) == ("scores", True)


def test_a_reward_model_scores_what_was_sampled_and_what_was_sent(tmp_path, model):
    reward = new_reward_model(str(model), precision="float32", device=torch.device("cpu"), seed=1)
    save_model(reward, tmp_path / "reward")
    one = SamplingSettings(n=1, temperature=0.9, top_p=1.0, max_tokens=3, seed=5)
    sample = sample_task("3", str(model), asks("a"), one)
    score = score_task(str(tmp_path / "reward"), TURNS, {"4": ("from a server", True)})
    scores = lines_of(tmp_path, sample, score)[-1]["scores"]
    assert set(scores) == {"3", "4"}
    assert all(isinstance(value, float) for value in scores.values())


def test_a_reward_model_with_heads_for_criteria_tells_what_each_says(tmp_path, model):
    reward = new_reward_model(str(model), precision="float32", device=torch.device("cpu"), seed=1)
    save_model(reward, tmp_path / "reward")
    width = reward.model.config.hidden_size
    heads = CriterionHeads(("concise", "helpful"), torch.stack([torch.ones(width)] * 2))
    save_criteria(tmp_path / "reward", heads)
    score = score_task(str(tmp_path / "reward"), TURNS, {"4": ("from a server", True)})
    told = lines_of(tmp_path, score)[-1]["criteria"]["4"]
    assert set(told) == {"concise", "helpful"}
    assert told["concise"] == told["helpful"] != 0.0


def test_a_response_that_was_cut_is_scored_without_an_end_as_in_training(tmp_path, model):
    reward = new_reward_model(str(model), precision="float32", device=torch.device("cpu"), seed=1)
    save_reward_model(reward, tmp_path / "reward")
    place, texts = str(tmp_path / "reward"), {"4": ("a text", True), "5": ("a text", False)}
    one, many = lines_of(
        tmp_path,
        score_task(place, TURNS, texts),
        score_many_task(place, [{"turns": TURNS, "texts": texts}]),
    )
    turns = [Turn(**turn) for turn in TURNS]
    judged = scorer_of(place, reward, budget=1024).judge(
        [turns], [["a text", "a text"]], finished=[[True, False]]
    )
    expected = dict(zip(texts, (told.mean for told in judged[0]), strict=True))
    assert one["scores"] == pytest.approx(expected, abs=1e-5)
    assert many["scores"] == pytest.approx(expected, abs=1e-5)
    assert many["truncated"] == []
    assert expected["4"] != pytest.approx(expected["5"], abs=1e-3)


def test_a_response_has_one_score_wherever_it_is_asked_for(tmp_path, model):
    """The playground, a round's comparisons and the API take the same zero and read the same tokens."""
    reward = new_reward_model(str(model), precision="float32", device=torch.device("cpu"), seed=1)
    save_reward_model(reward, tmp_path / "reward")
    save_calibration(tmp_path / "reward", offset=0.25, max_prompt_tokens=64, max_response_tokens=4)
    place, text = str(tmp_path / "reward"), "longer than four tokens"
    tasks = [
        score_task(place, TURNS, {"4": (text, True)}),
        score_many_task(place, [{"turns": TURNS, "texts": {"4": (text, True)}}]),
        chats_task(place, [[*TURNS, {"role": "assistant", "content": text}]]),
    ]
    one, many, chats = lines_of(tmp_path, *tasks)
    assert many["scores"]["4"] == pytest.approx(one["scores"]["4"], abs=1e-6)
    assert chats["chat_scores"][0][0] == pytest.approx(one["scores"]["4"], abs=1e-6)
    assert one["truncated"] == many["truncated"] == ["4"]
    assert chats["chat_scores"][0][3] is True  # it reads four tokens of them
    save_calibration(tmp_path / "reward", offset=0.0)
    (plain, *_) = lines_of(tmp_path, tasks[0])[-1:]
    assert plain["scores"]["4"] - one["scores"]["4"] == pytest.approx(0.25, abs=1e-6)


def reward_of(model, folder):
    """A reward model beside the tiny policy, which refuses a system turn as that does."""
    reward = new_reward_model(str(model), precision="float32", device=torch.device("cpu"), seed=1)
    save_reward_model(reward, folder / "reward")
    return str(folder / "reward")


def test_a_chat_that_the_template_refuses_fails_alone(tmp_path, model):
    place, said = reward_of(model, tmp_path), {"role": "assistant", "content": "a text"}
    good, refused = [*TURNS, said], [{"role": "system", "content": "x"}, *TURNS, said]
    alone, line = lines_of(
        tmp_path, chats_task(place, [good]), chats_task(place, [refused, good, refused])
    )
    first, second, third = line["chat_scores"]
    assert (first, third) == (None, None)
    assert second[0] == pytest.approx(alone["chat_scores"][0][0], abs=1e-5)
    assert [bool(one) for one in line["reasons"]] == [True, False, True]
    assert "no system turn" in line["reasons"][0]


def test_where_every_chat_is_refused_each_has_its_reason(tmp_path, model):
    place = reward_of(model, tmp_path)
    refused = [{"role": "system", "content": "x"}, {"role": "assistant", "content": "a text"}]
    (line,) = lines_of(tmp_path, chats_task(place, [refused]))
    assert line["chat_scores"] == [None]
    assert "no system turn" in line["reasons"][0]


def test_a_prompt_that_the_template_refuses_ends_no_scoring_of_many(tmp_path, model):
    place = reward_of(model, tmp_path)
    refused = [{"role": "system", "content": "x"}, *TURNS]
    rows = [
        {"turns": refused, "texts": {"1": ("a", True), "2": ("b", True)}},
        {"turns": TURNS, "texts": {"3": ("c", True)}},
    ]
    (line,) = lines_of(tmp_path, score_many_task(place, rows))
    assert set(line["scores"]) == {"3"}
    assert set(line["reasons"]) == {"1", "2"}
    assert "no system turn" in line["reasons"]["2"]


def test_a_prompt_that_never_fits_fails_alone_with_advice(tmp_path, model, monkeypatch):
    def never(*_args, **_fields):
        raise MemoryError

    sampling(monkeypatch, never)
    lines = lines_of(tmp_path, sample_task("policy", str(model), asks("a", "b"), SETTINGS))
    assert ["lower max_tokens" in line["reason"] for line in lines[1:]] == [True, True]


def test_a_guest_leaves_half_of_what_is_free_on_the_device(monkeypatch):
    cuda, taken = torch.cuda, []
    monkeypatch.setattr(cuda, "mem_get_info", lambda: (30, 80))
    monkeypatch.setattr(cuda, "set_per_process_memory_fraction", taken.append)
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    child.leave_half()
    assert taken == [30 / 2 / 80]


@pytest.mark.parametrize(
    ("is_guest", "told"), [(True, "give the live worker another device"), (False, "Lower tokens")]
)
def test_a_model_without_room_says_what_helps(tmp_path, model, monkeypatch, is_guest, told):
    def too_large(*_args, **_fields):
        raise MemoryError

    monkeypatch.setattr(child, "load_policy", too_large)
    task = sample_task("policy", str(model), asks("a"), SETTINGS)
    assert told in lines_of(tmp_path, task, is_guest=is_guest)[0]["failed"]
