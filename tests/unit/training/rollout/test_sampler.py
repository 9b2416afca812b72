import pytest
import torch
from transformers import DynamicCache

from training.data.chat import encode_prompt
from training.functional.picking import pick_tokens
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.rollout import sampler
from training.rollout.kv_cache import ROOM, RoomyLayer, closing_ranks
from training.rollout.sampler import Knobs, LocalSampler
from training.spec.errors import Diverged
from training.spec.records import Turn

PROMPTS = [[5, 6, 7], [9, 8, 7, 6, 5, 4], [3], [5, 6, 7], [11, 12]]
KNOBS = Knobs(n=3, temperature=1.0, top_p=1.0, max_tokens=12, seed=7)


@pytest.fixture
def model():
    return tiny_llama(seed=1, vocabulary=24).eval()


@pytest.fixture
def tokenizer():
    return tiny_tokenizer()


def sampled(model, tokenizer, prompts=PROMPTS, knobs=KNOBS, rows=32):
    return LocalSampler(model, tokenizer, rows=rows).sample_tokens(prompts, knobs)


def tokens_of(samples):
    return [[one.token_ids for one in group] for group in samples]


def forward_logprobs(model, prompt, sample, *, temperature=1.0):
    ids = torch.tensor([[*prompt, *sample.token_ids]])
    logits = model(input_ids=ids, use_cache=False).logits[0].float() / temperature
    picked = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return picked.gather(1, ids[0, len(prompt) :, None])[:, 0]


def greedy_one_by_one(model, prompt, max_tokens, end):
    ids = list(prompt)
    for _ in range(max_tokens):
        ids.append(
            int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        )
        if ids[-1] == end:
            break
    return tuple(ids[len(prompt) :])


def test_every_prompt_gets_its_n_samples_in_order(model, tokenizer):
    samples = sampled(model, tokenizer)
    assert [len(one) for one in samples] == [3] * 5


def test_no_prompts_get_no_samples(model, tokenizer):
    assert sampled(model, tokenizer, []) == []


def test_rows_end_at_different_steps_so_that_dropping_is_tested(model, tokenizer):
    lengths = {len(one.token_ids) for group in sampled(model, tokenizer) for one in group}
    assert len(lengths) > 3


def test_greedy_with_dropped_rows_equals_decoding_one_by_one(model, tokenizer):
    model.generation_config.eos_token_id = ends = _a_token_that_greedy_reaches(model)
    knobs = KNOBS._replace(n=1, temperature=0.0)
    samples = sampled(model, tokenizer, knobs=knobs)
    alone = [greedy_one_by_one(model, one, 12, ends) for one in PROMPTS]
    assert [one[0].token_ids for one in samples] == alone
    assert len({one[0].finished for one in samples}) == 2


def _a_token_that_greedy_reaches(model):
    """The second greedy token of the first prompt: some rows meet it early, others never."""
    return greedy_one_by_one(model, PROMPTS[0], 2, -1)[-1]


def test_a_response_does_not_depend_on_its_batch(model, tokenizer):
    together = sampled(model, tokenizer)
    apart = sampled(model, tokenizer, rows=1)
    alone = sampled(model, tokenizer, prompts=[PROMPTS[1]])
    tokens = [[one.token_ids for one in group] for group in together]
    assert tokens == [[one.token_ids for one in group] for group in apart]
    assert tokens[1] == [one.token_ids for one in alone[0]]


def test_prompts_are_prefilled_beside_others_about_as_long(model, tokenizer, monkeypatch):
    """Of 40, 31, 30 and 7 tokens: 40 with 31 and 30, 7 alone; 127 tokens are passed in place of 160."""
    prompts = [[5] * 31, [6] * 7, [7] * 40, [8] * 30]
    passed = _shapes_passed(monkeypatch)
    together = sampled(model, tokenizer, prompts)
    assert [(rows, tokens) for rows, tokens, _ in passed if tokens > 1] == [(3, 40), (1, 7)]
    assert tokens_of(together) == [
        tokens_of(sampled(model, tokenizer, [one]))[0] for one in prompts
    ]


def _shapes_passed(monkeypatch):
    """Rows and tokens of every forward pass of the sampler from here on, and tokens that they read."""
    passed = []
    forward = sampler._forward

    def counted(model, ids, places, mask, cache):
        passed.append((*ids.shape, mask.shape[1]))
        return forward(model, ids, places, mask, cache)

    monkeypatch.setattr(sampler, "_forward", counted)
    return passed


def test_prompts_come_in_as_rows_leave(model, tokenizer, monkeypatch):
    """Of eight, two at a time: one response ends, and the third prompt is read and answered beside the other."""
    prompts, knobs = [[3 + one, 5] for one in range(8)], KNOBS._replace(n=1, max_tokens=40)
    alone = [tokens_of(sampled(model, tokenizer, [one], knobs))[0] for one in prompts]
    passed = _shapes_passed(monkeypatch)
    assert tokens_of(sampled(model, tokenizer, prompts, knobs, rows=2)) == alone
    lengths = [len(one) for row in alone for one in row]
    first = min(lengths[:2])
    assert [one[:2] for one in passed[first : first + 3]] == [(1, 1), (1, 2), (2, 1)]
    assert max(read for _, _, read in passed) <= 2 + max(
        lengths
    )  # of those that left nothing is kept


def test_equal_prompts_and_equal_seeds_draw_apart_and_alike(model, tokenizer):
    first, again = sampled(model, tokenizer), sampled(model, tokenizer)
    other = sampled(model, tokenizer, knobs=KNOBS._replace(seed=8))
    assert first == again
    assert first != other
    assert first[0] != first[3]  # the same prompt twice


def test_the_samplers_logprobs_equal_the_forwards(model, tokenizer):
    knobs = KNOBS._replace(temperature=0.7)
    pairs = zip(PROMPTS, sampled(model, tokenizer, knobs=knobs), strict=True)
    gaps = [
        (forward_logprobs(model, prompt, one, temperature=0.7) - torch.tensor(one.logprobs)).abs()
        for prompt, group in pairs
        for one in group
    ]
    assert torch.cat(gaps).max() < 2e-5


def test_any_of_several_end_tokens_ends_a_response(model, tokenizer):
    model.generation_config.eos_token_id = [4, 5]
    samples = [one for group in sampled(model, tokenizer) for one in group]
    last = {one.token_ids[-1] for one in samples if one.finished}
    assert last == {1, 4, 5}  # 1 is the tokenizer's
    inner = {token for one in samples for token in one.token_ids[:-1]}
    assert not inner & {1, 4, 5}


def test_a_response_cut_at_the_limit_is_not_finished(model, tokenizer):
    samples = [one for group in sampled(model, tokenizer) for one in group]
    cut = [one for one in samples if not one.finished]
    assert cut
    assert {len(one.token_ids) for one in cut} == {12}


def test_the_text_leaves_the_end_token_out(tokenizer):
    sampler = LocalSampler(tiny_llama(seed=2), tokenizer)
    chats = [[Turn(role="user", content="Hello")], [Turn(role="user", content="Name a tree.")]]
    progress = []
    prompts = [encode_prompt(tokenizer, one, max_tokens=100).ids for one in chats]
    samples = sampler.sample_tokens(
        *(prompts, Knobs(2, 1.0, 0.9, 6, 1)), on_progress=lambda *done: progress.append(done)
    )
    assert [len(one) for one in samples] == [2, 2]
    assert "im_end" not in "".join(one.text for group in samples for one in group)
    assert progress[-1] == (4, 4)


def test_draws_follow_the_tempered_distribution():
    """p = (.1, .2, .7) at temperature 1/2 squares the odds: (.01, .04, .49)/.54."""
    logits = torch.tensor([0.1, 0.2, 0.7]).log().expand(20_000, 3)
    uniform = (torch.arange(20_000) + 0.5) / 20_000
    picked = pick_tokens(logits, uniform, temperature=0.5, top_p=1.0)
    shares = torch.bincount(picked.tokens_R, minlength=3) / 20_000
    expected = torch.tensor([0.01, 0.04, 0.49]) / 0.54
    torch.testing.assert_close(shares, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(picked.logprobs_R.exp(), expected[picked.tokens_R])


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    """Of (.5, .3, .15, .05) top-p .7 keeps the first two, in proportion 5 to 3."""
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3]).log().expand(8_000, 4)
    uniform = (torch.arange(8_000) + 0.5) / 8_000
    picked = pick_tokens(logits, uniform, temperature=1.0, top_p=0.7)
    counts = torch.bincount(picked.tokens_R, minlength=4).tolist()
    assert counts == [0, 5000, 0, 3000]


def test_a_flat_distribution_wider_than_the_nucleus_is_sampled_whole():
    logits = torch.zeros(1000, 1000)
    uniform = (torch.arange(1000) + 0.5) / 1000
    picked = pick_tokens(logits, uniform, temperature=1.0, top_p=0.9)
    assert len(set(picked.tokens_R.tolist())) == 900


def test_a_token_is_written_beside_those_that_are_held():
    layer, states = RoomyLayer(), torch.randn(3, 2, 1, 4)
    layer.update(torch.randn(3, 2, 5, 4), torch.randn(3, 2, 5, 4))
    before, values = layer.keys, layer.values.clone()
    keys, _ = layer.update(states, 2 * states)
    assert keys.data_ptr() == before.data_ptr()
    torch.testing.assert_close(keys, torch.cat([before, states], 2), rtol=0, atol=0)
    torch.testing.assert_close(layer.values, torch.cat([values, 2 * states], 2), rtol=0, atol=0)


def test_a_layer_that_is_full_is_laid_out_with_more_room():
    layer, states = RoomyLayer(), torch.randn(2, 1, 3 * ROOM, 4)
    for one in states.split(1, dim=2):
        layer.update(one, -one)
    assert torch.equal(layer.keys, states)
    assert torch.equal(layer.values, -states)


def test_rows_from_the_end_take_the_places_of_those_that_leave():
    """Of rows 0 to 4, 1 and 3 leave: 4 comes to the place of 1, and nothing else is moved."""
    stays = closing_ranks(torch.tensor([True, False, True, False, True]))
    assert stays.tolist() == [0, 4, 2]
    layer, states = RoomyLayer(), torch.randn(5, 2, 6, 4)
    layer.update(states, -states)
    place = layer.keys.data_ptr()
    layer.batch_select_indices(stays)
    assert torch.equal(layer.keys, states[[0, 4, 2]])
    assert torch.equal(layer.values, -states[[0, 4, 2]])
    assert layer.keys.data_ptr() == place


def test_a_cache_with_room_samples_what_transformers_own_does(model, tokenizer, monkeypatch):
    here = sampled(model, tokenizer)
    monkeypatch.setattr(sampler, "roomy_cache", lambda config: DynamicCache(config=config))
    there = sampled(model, tokenizer)
    tokens = [[one.token_ids for group in some for one in group] for some in (here, there)]
    assert tokens[0] == tokens[1]


def test_damaged_weights_are_named(model, tokenizer):
    model.lm_head.weight.data[3] = torch.nan
    with pytest.raises(Diverged, match="not finite"):
        sampled(model, tokenizer)


def test_sampling_leaves_the_model_in_its_mode(model, tokenizer):
    model.train()
    sampled(model, tokenizer)
    assert model.training
