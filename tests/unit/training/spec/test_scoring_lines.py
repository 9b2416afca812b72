"""The lines in docs/training.md that score with transformers alone."""

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.unit.training.trainers.runs import CPU
from training.data.chat import Limits
from training.models.reward import new_reward_model, save_calibration, save_reward_model
from training.models.tiny import CHAT_TEMPLATE
from training.rollout.scoring import Scorer
from training.spec.records import Turn

TEXT = (Path(__file__).parents[4] / "docs" / "training.md").read_text(encoding="utf-8")
(LINES,) = re.findall(r"```python\n(folder = .*?)```", TEXT, re.DOTALL)
PROMPT = "Why is the sky blue?"
LIMITS = Limits(prompt=24, response=12)


def folder_with(tiny_folder: Path, folder: Path, offset: float) -> Scorer:
    """A reward model whose template ends every turn with a newline, as SmolLM's does."""
    reward = new_reward_model(str(tiny_folder), precision="float32", device=CPU, seed=3)
    reward.tokenizer.chat_template = CHAT_TEMPLATE.replace("{% endfor %}", "\n{% endfor %}")
    save_reward_model(reward, folder)
    facts = {"max_prompt_tokens": LIMITS.prompt, "max_response_tokens": LIMITS.response}
    save_calibration(folder, offset=offset, **facts)
    return Scorer(reward=reward, limits=LIMITS, budget=4096, offset=offset)


def by_the_lines(folder: Path, response: str) -> float:
    names = {
        "Path": lambda _: folder,
        "AutoTokenizer": AutoTokenizer,
        "AutoModelForSequenceClassification": AutoModelForSequenceClassification,
        "json": json,
        "torch": torch,
        "turns": [{"role": "user", "content": PROMPT}],
        "response": response,
    }
    exec(LINES, names)  # noqa: S102 - our own docs
    return float(names["score"])  # type: ignore[arg-type]


@pytest.mark.parametrize("offset", [0.0, 0.5])
@pytest.mark.parametrize("response", ["Air.", "Air scatters blue light most.", "<|im_end|>"])
def test_they_give_the_score_of_the_scorer(
    tiny_folder: Path, tmp_path: Path, offset: float, response: str
) -> None:
    scorer = folder_with(tiny_folder, tmp_path, offset)
    ((expected,),) = scorer.score([(Turn(role="user", content=PROMPT),)], [[response]])
    assert by_the_lines(tmp_path, response) == pytest.approx(expected, abs=1e-5)


def test_a_template_over_both_gives_another_score(tiny_folder: Path, tmp_path: Path) -> None:
    """Why the lines are needed: the newline after the last turn is read as the last token."""
    scorer = folder_with(tiny_folder, tmp_path, 0.0)
    limits = Limits(prompt=512, response=512)
    scorer = Scorer(reward=scorer.reward, limits=limits, budget=4096)
    ((expected,),) = scorer.score([(Turn(role="user", content=PROMPT),)], [["Air."]])
    chat = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": "Air."}]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    ids = tokenizer.apply_chat_template(chat, return_dict=False)
    assert model(torch.tensor([ids])).logits.item() != pytest.approx(expected, abs=1e-3)
    assert model(torch.tensor([ids[:-1]])).logits.item() == pytest.approx(expected, abs=1e-5)
