"""Models from a folder or a hub name: safetensors only, no foreign code, no holes."""

import importlib.util
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
)
from transformers.utils import logging as transformers_logging

from training.functional.logprobs import Head
from training.models.attention import kernel_of, use_prefix_tree
from training.runtime.device import computes_bfloat16, is_out_of_memory
from training.spec.errors import ModelError

LIBRARY_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError)
AGAIN = "Copy the model again, or choose another."
COUNT_FROM_PADDING = {
    "roberta",
    "xlm-roberta",
    "camembert",
}  # positions begin after that of the padding
HEADS = ("score.", "classifier.")
# What families put between an encoder and its scores: pretraining has none of it, or leaves it out.
BELOW_HEADS = ("bert.pooler.", "albert.pooler.", "pooler.", "pre_classifier.", "head.")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A transformers model beside its tokenizer.

    ``model`` is a causal language model (a policy) or a sequence classifier with one label (a
    reward model). ``padded_because`` says why the family runs as padded rows; '' where trees do.
    ``pieces_because`` says why attention is computed piece by piece against the wish for another; '' else.
    ``padding_told`` says with which token of its own a reward model pads, where it had none; '' else.
    ``made_fresh`` names a weight between backbone and head that ``source`` lacks and that began at random; '' else.
    """

    model: Any  # Any: transformers' model classes share no typed forward
    tokenizer: Any  # Any: the same for tokenizers
    padded_because: str
    pieces_because: str = ""
    padding_told: str = ""
    made_fresh: str = ""

    @property
    def notes(self) -> list[str]:
        """What a run should tell of how the model is computed."""
        told = []
        if self.padded_because:
            told.append(
                f"{self.padded_because} It runs as padded rows: the same numbers, more tokens computed."
            )
        if self.pieces_because:
            told.append(
                f"{self.pieces_because} Attention is computed response by response: the same numbers, slower."
            )
        if self.padding_told:
            told.append(self.padding_told)
        return told

    @property
    def positions(self) -> int:
        """The most tokens of prompt and response together; 0 where the model's config names none."""
        config = self.model.config
        room = int(getattr(config, "max_position_embeddings", None) or 0)
        counts_from_padding = config.model_type in COUNT_FROM_PADDING
        return room - config.pad_token_id - 1 if counts_from_padding else room

    @property
    def backbone(self) -> Any:  # Any: as above
        """The transformer below the head."""
        return self.model.base_model

    @property
    def is_tree(self) -> bool:
        """Whether prefix trees serve this family."""
        return not self.padded_because

    @property
    def device(self) -> torch.device:
        device: torch.device = next(iter(self.model.parameters())).device
        return device


def load_policy(
    source: str, *, precision: str, device: torch.device, quantize: str = "none"
) -> LoadedModel:
    """A policy and its tokenizer; with ``quantize`` nf4 its weights are held in 4 bits."""
    return _load(
        source, AutoModelForCausalLM, precision=precision, device=device, quantize=quantize
    )


def load_classifier(
    source: str,
    *,
    precision: str,
    device: torch.device,
    is_new: bool,
    quantize: str = "none",
    asked_by: str = "quantize",
) -> LoadedModel:
    """A one-score classifier; with ``is_new`` its head, and a pooler, may be missing in ``source`` and are made fresh.

    ``asked_by`` is the setting that wishes for 4 bits, for the sentence where they cannot be.
    """
    return _load(
        source,
        AutoModelForSequenceClassification,
        precision=precision,
        device=device,
        may_miss=(*HEADS, *BELOW_HEADS) if is_new else (),
        quantize=quantize,
        asked_by=asked_by,
        num_labels=1,
    )


def save_model(loaded: LoadedModel, folder: Path) -> None:
    """A plain Hugging Face folder: safetensors, config, tokenizer.

    A policy says that it samples: `transformers serve` ignores a request's temperature otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if loaded.model.can_generate():
        loaded.model.generation_config.do_sample = True
    with quiet():
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)


def head_of(policy: LoadedModel) -> Head:
    """The lm-head as a function from hidden states to logits, with the family's scales."""
    config, lm_head = policy.model.config, policy.model.get_output_embeddings()
    cap = getattr(config, "final_logit_softcapping", None)
    scale = getattr(config, "logit_scale", None) or 1 / getattr(config, "logits_scaling", 1.0)

    def head(hidden_RD: Tensor) -> Tensor:
        logits_RV: Tensor = lm_head(hidden_RD) * scale
        return torch.tanh(logits_RV / cap) * cap if cap else logits_RV

    return head


def _load(
    source: str,
    factory: Any,  # Any: transformers' auto classes are untyped
    *,
    precision: str,
    device: torch.device,
    may_miss: tuple[str, ...] = (),
    quantize: str = "none",
    asked_by: str = "quantize",
    **options: object,
) -> LoadedModel:
    _refuse_empty(source)
    is_quantized = quantize != "none"
    if is_quantized:
        refuse_without_bitsandbytes(asked_by)
    with quiet(), _named_failures(f"The tokenizer of {source}"):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    with quiet(), _named_failures(f"The model {source}"):
        dtype = DTYPES.get(precision) or _fitting_dtype(source, device)
        if is_quantized:
            options |= {"quantization_config": _four_bits(dtype), "device_map": {"": str(device)}}
        model, info = factory.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    _refuse_holes(source, info["missing_keys"], may_miss)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"The tokenizer of {source} has no end token; set eos_token in its config."
        )
    _learn_padding_token(model)
    padded_because = use_prefix_tree(model)
    if is_quantized:
        _refuse_mostly_whole(model, source, asked_by)
        _keep_gradients(model)
    else:
        model = model.to(device)
        if device.type == "cpu":
            _align(model)
    pieces_because = "" if padded_because else kernel_of(model, device).reason
    return LoadedModel(
        model=model.eval(),
        tokenizer=tokenizer,
        padded_because=padded_because,
        pieces_because=pieces_because,
        made_fresh=min(
            (one for one in info["missing_keys"] if one.startswith(BELOW_HEADS)), default=""
        ),
    )


def refuse_without_bitsandbytes(asked_by: str) -> None:
    """Raise ModelError where weights cannot be held in 4 bits, as the setting ``asked_by`` wishes."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"{asked_by}: nf4 needs the package bitsandbytes, which is not installed here. Install it "
            f"(`pip install bitsandbytes`), or set {asked_by} to none."
        )


def _refuse_mostly_whole(model: Any, source: str, asked_by: str) -> None:  # Any: as in `_load`
    """Raise ModelError where most of what should shrink is no linear layer: experts in stacks stay whole."""
    linear = [one.quant_state.shape for one in model.parameters() if hasattr(one, "quant_state")]
    small = sum(math.prod(one) for one in linear)
    stacked = sum(one.numel() for one in model.parameters() if one.dim() > 2)
    if stacked > small:
        raise ModelError(
            f"{asked_by}: nf4 holds linear layers in 4 bits, which are {small:,} weights of {source}; {stacked:,} "
            f"stay whole, in the stacks of its experts. Set {asked_by} to none, or choose a model without experts."
        )


def _four_bits(dtype: torch.dtype) -> BitsAndBytesConfig:
    """NormalFloat with doubly quantized scales (Dettmers et al. 2023); products are in ``dtype``."""
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call] # transformers leaves it untyped
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=["lm_head", "score", "classifier"],
    )


def _keep_gradients(model: Any) -> None:  # Any: as in `_load`
    """Leave weights in 4 bits packed as they are.

    For some processors bitsandbytes packs them anew as they are first used, for a product that has no gradient:
    nothing below would learn.
    """
    for one in model.modules():
        if hasattr(one, "support_avx512bf16_for_cpu"):
            one.support_avx512bf16_for_cpu = False


def _learn_padding_token(model: Any) -> None:  # Any: as in `_load`
    """Let the padding token's embedding take gradients: where it is the end token, that ends turns of prompts.

    Real padding is masked out, and has none to give.
    """
    model.get_input_embeddings().padding_idx = None


def _align(model: Any) -> None:  # Any: as in `_load`
    """Copy the weights out of the mapped file, so that a loaded model scores as the one that was saved.

    On some processors products depend on the alignment of their factors in the last bit.
    """
    for weight in model.parameters():
        weight.data = weight.data.clone()


def _fitting_dtype(source: str, device: torch.device) -> torch.dtype:
    """Bfloat16 for weights stored in half precision where the device computes in it, else float32."""
    stored = AutoConfig.from_pretrained(source, trust_remote_code=False).dtype
    is_half = stored in {torch.float16, torch.bfloat16}
    return torch.bfloat16 if is_half and computes_bfloat16(device) else torch.float32


def _refuse_holes(source: str, missing: set[str], may_miss: tuple[str, ...]) -> None:
    holes = sorted(name for name in missing if not name.startswith(may_miss or ("\0",)))
    has_no_head = any(name.startswith(HEADS) for name in holes)
    if has_no_head and all(name.startswith((*HEADS, *BELOW_HEADS)) for name in holes):
        raise ModelError(
            f"{source} has no head that scores ({holes[0]}): it is a policy, or an encoder. "
            "Name the artifact of a reward_model run."
        )
    if holes:
        raise ModelError(
            f"{source} lacks {len(holes)} weights of its architecture (first: {holes[0]}); "
            "it would start from random numbers. Copy the model again."
        )


def _refuse_empty(source: str) -> None:
    if _looks_local(source) and not (Path(source) / "config.json").is_file():
        raise ModelError(
            f"There is no model in {source}: a folder with config.json, *.safetensors and a "
            "tokenizer is needed, or the hub name of one."
        )


@contextmanager
def _named_failures(what: str) -> Iterator[None]:
    """Whatever a bad folder makes transformers raise, as one ModelError with what to do."""
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"{what} is corrupt or of another architecture: {_first_line(error)} {AGAIN}"
        ) from error
    except (*LIBRARY_ERRORS, StrictDataclassError) as error:
        raise ModelError(f"{what} could not be loaded: {_first_line(error)} {AGAIN}") from error


def _looks_local(source: str) -> bool:
    return Path(source).exists() or source.startswith((".", "/", "~")) or source.count("/") != 1


def _first_line(error: BaseException) -> str:
    """Its first line as a sentence; a missing key is told as one."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = f"it lacks {lines[0]}" if isinstance(error, KeyError) else lines[0]
    return f"{line.strip().rstrip('.:')}."


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' own bars and advice, which are not events of a run."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call] # transformers leaves it untyped
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers leaves it untyped
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
