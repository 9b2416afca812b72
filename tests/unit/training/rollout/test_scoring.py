import pytest
import torch
from transformers import AutoModelForSequenceClassification

from training.data.chat import Limits
from training.models.load import save_model
from training.models.reward import new_reward_model
from training.rollout.scoring import Scorer
from training.spec.records import Turn

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


def test_scores_equal_those_of_the_plain_classifier(reward, tmp_path):
    save_model(reward, tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    tokenizer = reward.tokenizer
    chat = [{"role": "user", "content": "Hello"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    ids = [*ids, *tokenizer("Hi.")["input_ids"], tokenizer.eos_token_id]
    expected = plain(input_ids=torch.tensor([ids])).logits.item()
    assert scores_of(reward)[0][0] == pytest.approx(expected, abs=1e-5)
