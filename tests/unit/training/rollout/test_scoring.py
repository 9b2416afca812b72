import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests.unit.training.conftest import judged_group
from training.data.chat import Limits
from training.data.packing import pack_groups
from training.data.preferences import PairReader
from training.data.tokens import Tally
from training.models.load import save_model
from training.models.reward import (
    new_reward_model,
    save_calibration,
    save_reward_model,
    score_tree,
)
from training.rollout.scoring import UNTOLD, Scorer, limits_of, load_scorer
from training.runtime.metrics import Reporter
from training.runtime.run import Run
from training.runtime.stopping import StopRequest
from training.spec.records import Turn
from training.spec.rollouts import PpoSpec

CPU = torch.device("cpu")
PROMPTS = [(Turn(role="user", content=text),) for text in ("Hello", "Name three trees, please")]
RESPONSES = [["Hi.", "Good morning to you", ""], ["Oak, ash, elm"]]


@pytest.fixture
def reward(tiny_folder):
    return new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=1)


def scores_of(reward, budget=4096, prompts=PROMPTS, responses=RESPONSES):
    limits = Limits(64, 32)
    return Scorer(reward=reward, limits=limits, budget=budget).score(prompts, responses)


def test_scores_come_in_the_shape_of_the_responses(reward):
    assert [len(one) for one in scores_of(reward)] == [3, 1]


def test_a_score_does_not_depend_on_its_batch(reward):
    together = scores_of(reward)
    assert scores_of(reward, budget=16) == [pytest.approx(one, abs=1e-5) for one in together]
    alone = scores_of(reward, prompts=PROMPTS[1:], responses=RESPONSES[1:])
    assert alone[0] == pytest.approx(together[1], abs=1e-5)


def test_a_score_says_whether_prompt_or_response_was_longer_than_the_model_reads(reward):
    scorer = Scorer(reward=reward, limits=Limits(prompt=40, response=4), budget=4096)
    prompts = [(Turn(role="user", content=text),) for text in ("Hi", "A question of many bytes")]
    found = scorer.judge(prompts, [["Hi.", "Hi there"], ["Hi."]])  # a token a byte, and an end
    assert [[one.is_truncated for one in group] for group in found] == [[False, True], [True]]


def test_scores_equal_those_of_the_plain_classifier(reward, tmp_path):
    save_model(reward, tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    tokenizer = reward.tokenizer
    chat = [{"role": "user", "content": "Hello"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    ids = [*ids, *tokenizer("Hi.")["input_ids"], tokenizer.eos_token_id]
    expected = plain(input_ids=torch.tensor([ids])).logits.item()
    assert scores_of(reward)[0][0] == pytest.approx(expected, abs=1e-5)


def test_a_run_reads_texts_up_to_the_limits_that_the_reward_model_was_trained_with(
    reward, tmp_path
):
    """Its own may be shorter: in another tokenizer a response has another number of tokens."""
    save_reward_model(reward, tmp_path)
    save_calibration(tmp_path, max_prompt_tokens=64, max_response_tokens=32, offset=0.5)
    spec = PpoSpec(model="m", data="d", reward_model=str(tmp_path), precision="float32")
    spec = replace(spec, max_prompt_tokens=2, max_response_tokens=2)
    with Reporter(tmp_path) as reporter:
        run = Run(folder=tmp_path, reporter=reporter, stop=StopRequest())
        scorer = load_scorer(run, spec, CPU)
    found = scorer.score(PROMPTS, RESPONSES)
    expected = [[one - 0.5 for one in row] for row in scores_of(reward)]
    assert found == [pytest.approx(row, abs=1e-6) for row in expected]


def test_a_run_is_told_where_its_reward_model_reads_less_of_a_response(reward, tmp_path):
    save_reward_model(reward, tmp_path)
    save_calibration(tmp_path, max_prompt_tokens=512, max_response_tokens=32)
    spec = PpoSpec(model="m", data="d", reward_model=str(tmp_path), precision="float32")
    spec = replace(spec, max_prompt_tokens=512, max_response_tokens=64)
    with Reporter(tmp_path) as reporter:
        load_scorer(Run(folder=tmp_path, reporter=reporter, stop=StopRequest()), spec, CPU)
    (told,) = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert told["data"]["message"].startswith("max_response_tokens: 64 here, but")
    assert "reads 32, as it was trained" in told["data"]["message"]


def test_a_reward_model_that_tells_no_limits_reads_1024_tokens(reward, tmp_path):
    save_reward_model(reward, tmp_path)
    assert limits_of(tmp_path) == UNTOLD == Limits(1024, 1024)


def test_a_response_that_did_not_finish_gets_no_end_token(reward):
    scorer = Scorer(reward=reward, limits=Limits(64, 32), budget=4096)
    (found,) = scorer.judge(PROMPTS[:1], [["Hi.", "Hi."]], finished=[[True, False]])
    cut = replace(scorer, limits=Limits(64, len("Hi.")))
    assert found[0].mean == pytest.approx(scores_of(reward)[0][0], abs=1e-5)
    assert found[1].mean == pytest.approx(cut.score(PROMPTS[:1], [["Hi."]])[0][0], abs=1e-5)
    assert abs(found[0].mean - found[1].mean) > 1e-3


def test_a_cut_response_has_the_score_that_the_reward_model_learns_from(reward):
    """Sampled by PPO or read from a record, the same tokens are scored."""
    group = judged_group(0)
    cut = [replace(one, is_finished=False) for one in group.candidates[:1]]
    group = replace(group, candidates=(*cut, *group.candidates[1:]))
    limits = Limits(64, 32)
    (row,) = PairReader(tokenizer=reward.tokenizer, limits=limits).read([group], Tally())
    pack = pack_groups([row.tokens])
    learned = score_tree(reward, pack.tree, pack.last_N).tolist()
    scorer = Scorer(reward=reward, limits=limits, budget=4096)
    texts = [one.text for one in group.candidates]
    (found,) = scorer.judge([group.prompt], [texts], finished=[[False, True, True]])
    assert [one.mean for one in found] == pytest.approx(learned, abs=1e-5)
