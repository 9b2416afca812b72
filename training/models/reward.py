"""Reward models: a backbone and one score a response, read at the response's last token.

Saved as AutoModelForSequenceClassification(num_labels=1), which reads the last token that is not
padding: so padding must differ from the end token, and is repaired here where it does not. The
head is float32 whatever the backbone is: in bfloat16 one score in three would be a tie.

With several heads the score is their mean, so that the plain classifier, which has the mean of
their weights, gives it too.

Shapes: N responses of a row, H heads, D hidden size, B rows, S their length.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from training.functional.ties import TieModel
from training.models.attention import Tree, tree_hidden
from training.models.load import LoadedModel, load_classifier, save_model
from training.models.lora import adapter_of, put_adapter
from training.runtime.checkpoint import write_atomically
from training.runtime.optimize import keep_lowest_layers
from training.runtime.run import Run
from training.spec.errors import ModelError, SpecError
from training.spec.preferences import RewardModelSpec

HEADS_FILE = "heads.safetensors"
CALIBRATION_FILE = "calibration.json"
CRITERIA_FILE = "criteria.safetensors"
PADDING = "<|pad|>"


class CriterionHeads(NamedTuple):
    """One direction [C, D] among the model's states for each criterion that people judged by."""

    names: tuple[str, ...]
    weight_CD: Tensor

    def scores(self, hidden_ND: Tensor) -> Tensor:
        """What each head [N, C] says of responses; only differences between them mean something."""
        return F.linear(hidden_ND.float(), self.weight_CD.to(hidden_ND.device))


class ScoreHead(nn.Linear):
    """A linear layer that is float32 and computes in it, whatever comes in."""

    def forward(self, hidden: Tensor) -> Tensor:
        return super().forward(hidden.float())


def new_reward_model(
    source: str,
    *,
    precision: str,
    device: torch.device,
    seed: int,
    heads: int = 1,
    layers: int = 0,
    quantize: str = "none",
) -> LoadedModel:
    """A reward model on a policy's lowest ``layers`` (0: all), its heads drawn from N(0, 1/sqrt(d + 1)).

    With ``quantize`` nf4 the backbone is held in 4 bits.
    """
    loaded = load_classifier(
        source, precision=precision, device=device, is_new=True, quantize=quantize
    )
    if layers:
        keep_lowest_layers(loaded.model, layers)
    width = _head(loaded).weight.shape[1]
    generator = torch.Generator().manual_seed(seed)
    fresh = torch.randn(heads, width, generator=generator) / math.sqrt(width + 1)
    _set_heads(loaded, fresh)
    return _with_own_padding(loaded)


def save_reward_model(reward: LoadedModel, folder: Path) -> None:
    """A plain classifier whose head is the mean of the heads; several lie in a file beside it."""
    heads = _head(reward)
    weights = {name: one.detach().float().contiguous() for name, one in heads.named_parameters()}
    _set_heads(reward, **{name: one.mean(0, keepdim=True) for name, one in weights.items()})
    save_model(reward, folder)
    setattr(reward.model, _head_name(reward), heads)
    if len(heads.weight) > 1:
        save_file(weights, folder / HEADS_FILE)


def load_reward_model(
    source: str, *, precision: str, device: torch.device, quantize: str = "none"
) -> LoadedModel:
    """A trained reward model; a folder without a score head is refused.

    With ``quantize`` nf4, which a run that it scores for calls `reward_quantize`, its backbone is held in 4 bits.
    """
    loaded = load_classifier(
        source,
        precision=precision,
        device=device,
        is_new=False,
        quantize=quantize,
        asked_by="reward_quantize",
    )
    _set_heads(loaded, **dict(_head(loaded).named_parameters()))
    _restore_head(loaded, Path(source))
    return _with_own_padding(loaded)


def untrained_reward_model(
    spec: RewardModelSpec, device: torch.device, *, precision: str = "", quantize: str = ""
) -> LoadedModel:
    """The reward model that a run begins with; ``precision`` and ``quantize`` may differ from the spec's.

    Raises SpecError for adapters above which something random would stay as it is, in no file of theirs.
    """
    reward = new_reward_model(
        spec.model,
        precision=precision or spec.precision,
        device=device,
        seed=spec.seed,
        heads=spec.heads,
        layers=spec.layers,
        quantize=quantize or spec.quantize,
    )
    if spec.lora_rank and reward.made_fresh:
        raise SpecError(
            f"lora_rank: {spec.model} has no weights for {reward.made_fresh}, which an adapter would leave random. "
            "Set lora_rank to 0, and trainable_layers to train less."
        )
    return reward


def trained_reward_model(run: Run, spec: RewardModelSpec, device: torch.device) -> LoadedModel:
    """The reward model that a run published; beside weights in 4 bits, these with its adapter and heads."""
    if spec.quantize == "none":
        return load_reward_model(str(run.artifact), precision=spec.precision, device=device)
    reward = untrained_reward_model(spec, device)
    put_adapter(reward.model, adapter_of(run), spec)
    _restore_head(reward, run.artifact)
    return reward


def score_tree(reward: LoadedModel, tree: Tree, last_N: Tensor) -> Tensor:
    """Float32 scores [N] of all responses in a row of trees: the mean of the heads."""
    return score_heads(reward, tree, last_N).mean(-1)


def score_heads(reward: LoadedModel, tree: Tree, last_N: Tensor) -> Tensor:
    """Float32 scores [N, H] by every head of all responses in a row of trees."""
    if not is_decoder(reward):
        return _score_rows(reward, tree)
    return score_hidden(reward, last_states(reward, tree, last_N))


def last_states(reward: LoadedModel, tree: Tree, last_N: Tensor) -> Tensor:
    """Hidden states [N, D] of the last token of every response; of decoders alone."""
    return tree_hidden(reward.backbone, tree, is_tree=reward.is_tree, at_N=last_N)


def score_hidden(reward: LoadedModel, hidden_ND: Tensor) -> Tensor:
    """Float32 scores [N, H] from the hidden states of last tokens."""
    return F.linear(hidden_ND.float(), _head(reward).weight.float())


def _set_heads(reward: LoadedModel, weight: Tensor, bias: Tensor | None = None) -> None:
    """Put these heads [H, D] in place, in float32, with the biases [H] of families that have them."""
    old = _head(reward)
    heads = ScoreHead(weight.shape[1], len(weight), bias=old.bias is not None)
    heads.weight.data.copy_(weight)
    if old.bias is not None:
        heads.bias.data.copy_(old.bias.detach().expand(len(weight)) if bias is None else bias)
    setattr(reward.model, _head_name(reward), heads.to(reward.device))


def start_heads(reward: LoadedModel, weight_HD: Tensor) -> None:
    """Let the heads begin with these weights; they stay the parameters they are."""
    _head(reward).weight.data.copy_(weight_HD)


def mean_head(reward: LoadedModel) -> dict[str, Tensor]:
    """The plain classifier's weights by their names in the model: the mean of the heads."""
    return {
        f"{_head_name(reward)}.{name}": one.detach().float().mean(0, keepdim=True)
        for name, one in _head(reward).named_parameters()
    }


def take_heads(reward: LoadedModel, other: LoadedModel) -> None:
    """Give a reward model the heads of another with as many."""
    _head(reward).load_state_dict(_head(other).state_dict())


def head_count(reward: LoadedModel) -> int:
    """How many heads score a response."""
    return len(_head(reward).weight)


def deviation(scores_NH: Tensor) -> Tensor:
    """How far the heads disagree about each response [N]: their standard deviation; 0 for one."""
    return scores_NH.std(-1) if scores_NH.shape[-1] > 1 else torch.zeros_like(scores_NH[:, 0])


def is_decoder(reward: LoadedModel) -> bool:
    """Whether the score is a linear head on the last token (an encoder has a pooler instead)."""
    return hasattr(reward.model, "score")


def _score_rows(reward: LoadedModel, tree: Tree) -> Tensor:
    """Encoders read prompt and response together: one padded row a response, nothing shared."""
    answered = tree._replace(spans=tuple(span for span in tree.spans if span.branches))
    rows = [tree.tokens_T[path] for path in answered.paths()]
    ids_BS = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows], device=ids_BS.device)
    mask_BS = torch.arange(ids_BS.shape[1], device=ids_BS.device) < lengths[:, None]
    scores: Tensor = reward.model(input_ids=ids_BS, attention_mask=mask_BS.long()).logits
    return scores.float()


def _head_name(reward: LoadedModel) -> str:
    """Where the family keeps its single linear layer of scores. Raises ModelError without one."""
    for name in ("score", "classifier"):
        if getattr(getattr(reward.model, name, None), "weight", None) is not None:
            return name
    family = reward.model.config.model_type
    raise ModelError(f"The {family} family has no single linear score head to train.")


def _head(reward: LoadedModel) -> Any:  # Any: a linear layer under one of two names
    return getattr(reward.model, _head_name(reward))


def _restore_head(loaded: LoadedModel, folder: Path) -> None:
    """The head as it was stored: loading in bfloat16 rounded it; all of them where there are more."""
    if (folder / HEADS_FILE).is_file():
        _set_heads(loaded, **load_file(folder / HEADS_FILE))
        return
    place = _head_name(loaded)
    head = {f"{place}.{name}": one for name, one in _head(loaded).named_parameters()}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as stored:
            for name in head.keys() & stored.keys():
                head[name].data.copy_(stored.get_tensor(name))


def _with_own_padding(reward: LoadedModel) -> LoadedModel:
    """Give padding an id that is not the end token's, else the score is read one token early; its notes tell it."""
    tokenizer, config = reward.tokenizer, reward.model.config
    told = ""
    if tokenizer.pad_token_id in {None, tokenizer.eos_token_id}:
        has = "no padding token" if tokenizer.pad_token_id is None else "its end token for padding"
        _give_padding(reward)
        told = (
            f"The tokenizer has {has}; padding got the token {tokenizer.pad_token!r} of its own, so that scores are "
            "read at the end of a response."
        )
    config.pad_token_id = tokenizer.pad_token_id
    return replace(reward, padding_told=told)


def _give_padding(reward: LoadedModel) -> None:
    """A special token that the chat template does not end a response with; where there is none, a new one."""
    tokenizer, model = reward.tokenizer, reward.model
    known: Sequence[str | None] = [
        tokenizer.unk_token,
        *(one for one in tokenizer.all_special_tokens if "endoftext" in one or "pad" in one),
        tokenizer.bos_token,
    ]
    spare = [one for one in known if one not in {None, tokenizer.eos_token}]
    tokenizer.add_special_tokens({"pad_token": spare[0] if spare else PADDING})
    if tokenizer.pad_token_id >= model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(tokenizer.pad_token_id + 1, mean_resizing=False)


def save_calibration(folder: Path, **facts: float | str) -> None:
    """Add to what lies beside the weights: what a score means (docs/training.md lists the names)."""
    path = folder / CALIBRATION_FILE
    write_atomically(path, json.dumps(load_calibration(folder) | facts))


def load_calibration(folder: Path) -> dict[str, Any]:  # Any: JSON
    """All that lies beside the weights; {} where nothing does."""
    path = folder / CALIBRATION_FILE
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def save_temperature(folder: Path, temperature: float) -> None:
    """Beside the weights: P(a better than b) = sigmoid((score a - score b) / temperature)."""
    save_calibration(folder, temperature=temperature)


def load_temperature(folder: Path) -> float:
    """The fitted temperature of a reward model; 1 where none was fitted."""
    return float(load_calibration(folder).get("temperature", 1.0))


def load_offset(folder: Path) -> float:
    """What to take from scores so that the responses of training score 0 on average; 0 where unknown."""
    return float(load_calibration(folder).get("offset", 0.0))


def load_ties(folder: Path) -> TieModel | None:
    """The model of ties that the scores were learned with; None where there is none."""
    facts = load_calibration(folder)
    return TieModel(facts["ties"], facts["tie_parameter"]) if "ties" in facts else None


def save_criteria(folder: Path, heads: CriterionHeads) -> None:
    """Beside the weights, which they do not change."""
    names = {"names": json.dumps(heads.names)}
    save_file({"weight": heads.weight_CD.contiguous()}, folder / CRITERIA_FILE, metadata=names)


def load_criteria(folder: Path) -> CriterionHeads | None:
    """The heads that explain a score; None where no criterion was judged."""
    path = folder / CRITERIA_FILE
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as stored:
        names = json.loads(stored.metadata()["names"])
        return CriterionHeads(tuple(names), stored.get_tensor("weight"))
