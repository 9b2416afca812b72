"""What both sides are given: models, and rows of ../shared/data as token ids in one order."""

import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

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
from training.models.value import VALUE_HEAD_FILE, ValueHead
from training.spec.records import CandidateText, Group, Pair, Turn, group_to_json, read_groups

SEED = 17
LIMITS = Limits(1024, 512)
PROMPTS_A_STEP = 8  # with one pair each, or with all six of four responses
MANY_PAIRS = 32  # that keep a GPU busy
PROMPTS_A_ROLLOUT = 4
FEWEST_PROMPTS = 8  # that a run of ours takes
PAIRS_A_BATCH = 8  # of the peer
RANKED = 4
MEAN_RESPONSE = 48  # tokens of a response in the HH rows
CPU = torch.device("cpu")


class Padding(NamedTuple):
    """Tokens of a job's rows: each prompt and response once, and padded as the peer pads pairs."""

    tokens: int
    padded: int


def prepare(folder: Path, data: Path, models: Sequence[str]) -> None:
    """The models; those that are there stay."""
    smol = fetch_embedded_policy(folder / "smollm2" / "policy", say=print)
    for model in models:
        if model in SHAPES:
            _llama(folder / model / "policy", smol, **SHAPES[model])
        _reward(folder / model)
        _value_head(folder / model / "policy")
    if not (data / "hh_helpful_pairs.jsonl.gz").is_file():
        raise SystemExit(f"There are no judged rows in {data}; name their folder with --data.")


def write_rows(folder: Path, data: Path, name: str, steps: int) -> Padding:
    """The rows of ``steps`` steps of a model, as both sides read them."""
    wanted = (MANY_PAIRS if name == "many_pairs" else PROMPTS_A_STEP) * steps
    pairs = [_pair_group(row) for row in _lines(data / "hh_helpful_pairs.jsonl.gz")]
    place = _Place(folder)
    if name == "pairs":
        return place.write(f"pairs-{steps}", spread(pairs, wanted), PROMPTS_A_STEP)
    if name == "many_pairs":
        return place.write(f"many_pairs-{steps}", spread(pairs, wanted), MANY_PAIRS)
    if name == "prompts":
        groups = spread(pairs, max(FEWEST_PROMPTS, PROMPTS_A_ROLLOUT * steps))
        return place.write(f"prompts-{steps}", groups, PROMPTS_A_ROLLOUT)
    if name == "hh_rankings":
        groups = _mixed(spread(pairs, 2 * wanted))
    else:
        groups = spread(_ranked(data), wanted)
    return place.write(f"{name}-{steps}", groups, PROMPTS_A_STEP)


def padding_of_all(folder: Path, data: Path) -> float:
    """How often the tokens of all HH pairs go into the peer's rows at 8 pairs a batch, in random order."""
    pairs = [_pair_group(row) for row in _lines(data / "hh_helpful_pairs.jsonl.gz")]
    random.Random(SEED).shuffle(pairs)  # noqa: S311 - an order
    rows = _Place(folder).read(pairs)
    found = _padding(rows, [pair for row in rows for pair in _pairs(row)])
    return found.padded / found.tokens


def spread(groups: Sequence[Group], wanted: int) -> list[Group]:
    """A sample whose lengths are spread as those of all: every so-manieth by length, then shuffled.

    The first rows of a file, or a few drawn at random, may be shorter or longer than most.
    """
    by_length = sorted(groups, key=lambda one: (_characters(one), one.prompt_id))
    wanted = min(wanted, len(by_length))
    taken = [by_length[(2 * at + 1) * len(by_length) // (2 * wanted)] for at in range(wanted)]
    random.Random(SEED).shuffle(taken)  # noqa: S311 - an order
    return taken


def _characters(group: Group) -> int:
    texts = [one.content for one in group.prompt] + [one.text for one in group.candidates]
    return sum(map(len, texts))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


SHAPES: dict[str, dict[str, int]] = {
    "llama": {
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
    },
    "llama-1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}


def _llama(folder: Path, smol: Path, **shape: int) -> None:
    """A random Llama (31 million weights, or 1.2 billion) that ends a response after 48 tokens on average.

    One dimension of its hidden states is constant and raises the end token's logit: lengths are
    geometric, as spread out as those of people's responses.
    """
    if (folder / "config.json").is_file():
        return
    tokenizer = AutoTokenizer.from_pretrained(smol)
    tokenizer.chat_template = CHAT_TEMPLATE  # without a system turn, as the HH rows have none
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        **shape,
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


def _value_head(policy: Path) -> None:
    """A head that says something, for PPO's losses: ours starts at zero elsewhere, TRL's at random."""
    if (policy / VALUE_HEAD_FILE).is_file():
        return
    width = LlamaConfig.from_pretrained(policy).hidden_size
    head = ValueHead(width)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(SEED)
        head.linear.weight.normal_(std=(width + 1) ** -0.5)
        head.linear.bias.normal_()
    head.save(policy)


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
        for mine, other in zip(pairs[::2], pairs[1::2], strict=True)
    ]


def _ranked(data: Path) -> list[Group]:
    """Prompts of OASST with four or more ranked responses, the best four of them."""
    return [
        _group(one["id"], _turns(one), [each["text"] for each in one["responses"][:RANKED]])
        for one in _lines(data / "oasst_ranked.jsonl.gz")
        if len(one["responses"]) >= RANKED
    ]


def _padding(
    rows: Sequence[PairGroup], pairs: Sequence[dict[str, list[int]]], size: int = PAIRS_A_BATCH
) -> Padding:
    """Pairs in batches, both sides of each as rows of the length of the longest."""
    lengths = [len(one["prompt"]) + max(len(one["chosen"]), len(one["rejected"])) for one in pairs]
    batches = [lengths[at : at + size] for at in range(0, len(lengths), size)]
    return Padding(
        sum(len(row.tokens) for row in rows),
        sum(2 * len(batch) * max(batch) for batch in batches),
    )


class _Place:
    """A model's folder, to be given rows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(folder / "policy")

    def read(self, groups: Sequence[Group]) -> list[PairGroup]:
        return PairReader(tokenizer=self._tokenizer, limits=LIMITS).read(iter(groups), Tally())

    def write(self, name: str, groups: Sequence[Group], a_step: int) -> Padding:
        """A snapshot for us; its pairs as token ids for the peers, in the order of our steps.

        Within a step the pairs are shuffled, as they are by the peers' own sampler.
        """
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        groups = sorted(groups, key=lambda one: one.prompt_id)
        lines = "".join(group_to_json(one) + "\n" for one in groups)
        (self._folder / name / "groups.jsonl").write_text(lines, encoding="utf-8")
        rows = self.read(list(read_groups(self._folder / name)))
        stream = Stream(rows=len(rows), per_step=a_step, seed=SEED, epochs=1.0)
        steps = [[rows[at] for at in stream.batch(step)] for step in range(stream.steps)]
        foreign = {
            row.tokens.prompt_id: rows[at - 1].tokens.responses[0] for at, row in enumerate(rows)
        }
        pairs = [pair for step in steps for pair in _shuffled_pairs(step, foreign)]
        (self._folder / f"{name}.json").write_text(json.dumps(pairs))
        ordered = [row for step in steps for row in step]
        prompts = [row.tokens.prompt for row in ordered]
        (self._folder / f"{name}_prompts.json").write_text(json.dumps(prompts))
        return _padding(ordered, pairs, max(a_step, PAIRS_A_BATCH))


def _shuffled_pairs(
    step: Sequence[PairGroup], foreign: Mapping[str, Sequence[int]]
) -> list[dict[str, list[int]]]:
    """Each with the response to another prompt by which KTO of ours knows its prompt's KL."""
    pairs = [
        pair | {"foreign": list(foreign[row.tokens.prompt_id])}
        for row in step
        for pair in _pairs(row)
    ]
    random.Random(SEED).shuffle(pairs)  # noqa: S311 - an order
    return pairs


def _pairs(row: PairGroup) -> Iterator[dict[str, list[int]]]:
    for pair in row.pairs:
        yield {
            "prompt": list(row.tokens.prompt),
            "chosen": list(row.tokens.responses[pair.chosen]),
            "rejected": list(row.tokens.responses[pair.rejected]),
        }
