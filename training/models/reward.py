"""Reward models: a backbone and one score a response, read at the response's last token.

Saved as AutoModelForSequenceClassification(num_labels=1), which reads the last token that is not
padding: so padding must differ from the end token, and is repaired here where it does not. The
head is float32 whatever the backbone is: in bfloat16 one score in three would be a tie.

Shapes: N responses of a row, D hidden size, B rows, S their length.
"""

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from training.models.attention import Tree, tree_hidden
from training.models.load import LoadedModel, load_classifier
from training.runtime.checkpoint import write_atomically
from training.spec.errors import ModelError

logger = logging.getLogger(__name__)

TEMPERATURE_FILE = "calibration.json"


def new_reward_model(
    source: str, *, precision: str, device: torch.device, seed: int
) -> LoadedModel:
    """A reward model on a policy's backbone, its head drawn from N(0, 1/sqrt(d + 1))."""
    loaded = load_classifier(source, precision=precision, device=device, is_new=True)
    head = _head(loaded)
    generator = torch.Generator().manual_seed(seed)
    width = head.weight.shape[1]
    fresh = torch.randn(1, width, generator=generator) / math.sqrt(width + 1)
    head.to(torch.float32).weight.data.copy_(fresh)
    _separate_padding(loaded)
    return loaded


def load_reward_model(source: str, *, precision: str, device: torch.device) -> LoadedModel:
    """A trained reward model; a folder without a score head is refused."""
    loaded = load_classifier(source, precision=precision, device=device, is_new=False)
    _head(loaded).to(torch.float32)
    _restore_head(loaded, Path(source))
    _separate_padding(loaded)
    return loaded


def score_tree(reward: LoadedModel, tree: Tree, last_N: Tensor) -> Tensor:
    """Float32 scores [N] of all responses in a row of trees."""
    if not is_decoder(reward):
        return _score_rows(reward, tree)
    hidden_TD = tree_hidden(reward.backbone, tree, is_tree=reward.is_tree)
    return score_hidden(reward, hidden_TD[last_N])


def score_hidden(reward: LoadedModel, hidden_ND: Tensor) -> Tensor:
    """Float32 scores [N] from the hidden states of last tokens."""
    return F.linear(hidden_ND.float(), _head(reward).weight.float()).squeeze(-1)


def is_decoder(reward: LoadedModel) -> bool:
    """Whether the score is a linear head on the last token (an encoder has a pooler instead)."""
    return hasattr(reward.model, "score")


def _score_rows(reward: LoadedModel, tree: Tree) -> Tensor:
    """Encoders read prompt and response together: one padded row a response, nothing shared."""
    rows = [
        torch.cat(
            [tree.tokens_T[span.start : span.start + span.prompt], tree.tokens_T[at : at + n]]
        )
        for span in tree.spans
        for at, n in zip(span.branch_starts(), span.branches, strict=True)
    ]
    longest = reward.model.config.max_position_embeddings
    ids_BS = torch.nn.utils.rnn.pad_sequence([row[-longest:] for row in rows], batch_first=True)
    lengths = torch.tensor([min(len(row), longest) for row in rows], device=ids_BS.device)
    mask_BS = torch.arange(ids_BS.shape[1], device=ids_BS.device) < lengths[:, None]
    scores: Tensor = reward.model(input_ids=ids_BS, attention_mask=mask_BS.long()).logits
    return scores.squeeze(-1).float()


def _head(reward: LoadedModel) -> Any:  # Any: a linear layer under one of two names
    named = (getattr(reward.model, name, None) for name in ("score", "classifier"))
    head: Any = next((one for one in named if one is not None), None)  # Any: as above
    if getattr(head, "weight", None) is None or head.weight.shape[0] != 1:
        family = reward.model.config.model_type
        raise ModelError(f"The {family} family has no single linear score head to train.")
    return head


def _restore_head(reward: LoadedModel, folder: Path) -> None:
    """The head as it was stored: loading in bfloat16 rounded it."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as stored:
            if "score.weight" in stored.keys():  # noqa: SIM118 - not a dict
                _head(reward).weight.data.copy_(stored.get_tensor("score.weight"))


def _separate_padding(reward: LoadedModel) -> None:
    """Give padding an id that is not the end token's, else the score is read one token early."""
    tokenizer, config = reward.tokenizer, reward.model.config
    if tokenizer.pad_token_id in {None, tokenizer.eos_token_id}:
        tokenizer.pad_token = _spare_token(tokenizer)
        logger.warning("reward.padding_repaired", extra={"pad_token": tokenizer.pad_token})
    config.pad_token_id = tokenizer.pad_token_id


def _spare_token(tokenizer: Any) -> str:  # Any: a transformers tokenizer
    """A special token the chat template does not end a response with."""
    spare: Sequence[str | None] = [
        tokenizer.unk_token,
        *(one for one in tokenizer.all_special_tokens if "endoftext" in one or "pad" in one),
        tokenizer.bos_token,
    ]
    for token in spare:
        if token is not None and token != tokenizer.eos_token:
            return token
    raise ModelError(
        "The tokenizer has no special token to pad with besides its end token; add one."
    )


def save_temperature(folder: Path, temperature: float) -> None:
    """Beside the weights: P(a better than b) = sigmoid((score a - score b) / temperature)."""
    write_atomically(folder / TEMPERATURE_FILE, json.dumps({"temperature": temperature}))


def load_temperature(folder: Path) -> float:
    """The fitted temperature of a reward model; 1 where none was fitted."""
    path = folder / TEMPERATURE_FILE
    return float(json.loads(path.read_text())["temperature"]) if path.is_file() else 1.0
