"""Names of settings and numbers as people read them."""

from collections.abc import Mapping
from types import MappingProxyType

AS_WRITTEN: Mapping[str, str] = MappingProxyType(
    {"kl": "KL", "lora": "LoRA", "gae": "GAE", "eos": "EOS", "ece": "ECE"}
)


def words_of(name: str) -> str:
    """`adaptive_kl_target` as `adaptive KL target`, for within a sentence."""
    return " ".join(AS_WRITTEN.get(word, word) for word in name.split("_"))


def title_of(name: str) -> str:
    """`max_grad_norm` as `Max grad norm`, for the head of a line."""
    words = words_of(name)
    return words[:1].upper() + words[1:]
