import pytest
import torch
from torch._dynamo.exc import TorchDynamoException
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BloomConfig,
    Gemma2Config,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.models import attention, flex
from training.models.attention import kernel_of, tree_hidden, use_prefix_tree, why_padded
from training.models.load import LoadedModel
from training.models.tiny import tiny_llama
from training.spec.errors import ModelError

SMALL = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WIDE = {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8}
GROUPS = [
    TokenGroup(prompt_id="a", prompt=(5, 6, 7, 8), responses=((9, 10), (11, 12, 13), (14,))),
    TokenGroup(prompt_id="b", prompt=(15, 16), responses=((17, 18, 19, 20),)),
    TokenGroup(prompt_id="c", prompt=(21,), responses=((22,), (23, 24))),
]


def alone(
    backbone: torch.nn.Module, prompt: tuple[int, ...], response: tuple[int, ...]
) -> torch.Tensor:
    hidden = backbone(input_ids=torch.tensor([[*prompt, *response]])).last_hidden_state[0]
    return hidden[len(prompt) :]


def test_a_response_has_the_states_it_would_have_alone() -> None:
    model = tiny_llama()
    expected = [alone(model.model, g.prompt, r) for g in GROUPS for r in g.responses]
    assert use_prefix_tree(model) == ""
    pack = pack_groups(GROUPS)
    found = tree_hidden(model.model, pack.tree, is_tree=True)[pack.response_R]
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-5, rtol=1e-5)


def test_no_scores_are_computed_between_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompt 4 with itself, and each of 2, 3, 1 with the prompt and itself: 16 + 12 + 21 + 5 = 54."""
    sdpa, scores = torch.nn.functional.scaled_dot_product_attention, []

    def counted(query, key, value, **settings):
        scores.append(query.shape[2] * key.shape[2])
        return sdpa(query, key, value, **settings)

    model = tiny_llama(layers=1)
    use_prefix_tree(model)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    tree_hidden(model.model, pack_groups(GROUPS[:1]).tree, is_tree=True)
    assert sum(scores) == 54


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**SMALL, **WIDE),
        Qwen3Config(**SMALL, **WIDE),
        MistralConfig(**SMALL, **WIDE, sliding_window=None),
        GPTNeoXConfig(**SMALL, intermediate_size=64),
        GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4),
    ],
    ids=lambda config: config.model_type,
)
def test_families_served_by_trees_equal_padded_rows(config: object) -> None:
    model = AutoModelForCausalLM.from_config(config).eval()
    assert use_prefix_tree(model) == ""
    tree = pack_groups(GROUPS).tree
    torch.testing.assert_close(
        tree_hidden(model.base_model, tree, is_tree=True),
        tree_hidden(model.base_model, tree, is_tree=False),
        atol=1e-5,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (MistralConfig(**SMALL, **WIDE, sliding_window=4), "sliding"),
        (Gemma2Config(**SMALL, **WIDE), "sliding"),
        (BloomConfig(**SMALL), "attention code"),
        (BertConfig(**SMALL, intermediate_size=64, is_decoder=False), "causal"),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_other_families_say_why_they_are_padded(config: object, reason: str) -> None:
    assert reason in why_padded(AutoModelForCausalLM.from_config(config))


def test_gradients_of_trees_equal_those_of_padded_rows(tiny_policy: LoadedModel) -> None:
    tree = pack_groups(GROUPS).tree
    weights = list(tiny_policy.backbone.parameters())
    of_tree = torch.autograd.grad(
        tree_hidden(tiny_policy.backbone, tree, is_tree=True).square().sum(), weights
    )
    of_rows = torch.autograd.grad(
        tree_hidden(tiny_policy.backbone, tree, is_tree=False).square().sum(), weights
    )
    torch.testing.assert_close(of_tree, of_rows, atol=1e-3, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@torch.no_grad()
def test_flexible_attention_gives_the_states_of_sdpa(
    tiny_policy: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU it runs uncompiled, forward only. The row is longer than a block of 128."""
    long = TokenGroup(prompt_id="d", prompt=(3,) * 130, responses=())
    tree = pack_groups([*GROUPS * 7, long]).tree
    states = []
    for kernel in ("sdpa", "flex"):
        monkeypatch.setenv("CONCORD_ATTENTION", kernel)
        states.append(tree_hidden(tiny_policy.backbone, tree, is_tree=True))
    torch.testing.assert_close(*states, atol=1e-5, rtol=1e-5)


def test_a_family_that_drops_attention_out_is_trained_by_sdpa(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """FlexAttention has no dropout: GPT-2's (0.1 here) is not silently left out."""
    monkeypatch.setenv("CONCORD_ATTENTION", "flex")
    config = GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4, attn_pdrop=0.1)
    model = AutoModelForCausalLM.from_config(config)
    use_prefix_tree(model)
    called = []
    monkeypatch.setattr(attention, "flexible_attention", lambda *_args, **_: called.append(1))
    tree_hidden(model.train().base_model, pack_groups(GROUPS).tree, is_tree=True)
    assert not called


@pytest.mark.parametrize(
    ("asked", "device", "name"),
    [(None, "cuda", "sdpa"), ("flex", "cuda", "flex"), ("flex", "cpu", "flex")],
)
def test_flex_attention_is_had_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, device: str, name: str
) -> None:
    monkeypatch.setattr(flex, "_missing_for_compiling", lambda: "")
    monkeypatch.delenv("CONCORD_ATTENTION", raising=False)
    if asked:
        monkeypatch.setenv("CONCORD_ATTENTION", asked)
    assert kernel_of(_gpt2(), torch.device(device)) == (name, "")


def test_without_a_compiler_or_with_small_heads_it_says_why_it_attends_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONCORD_ATTENTION", "flex")
    cuda = torch.device("cuda")
    assert "these have 8" in kernel_of(tiny_llama(), cuda).reason
    monkeypatch.setattr(flex, "_missing_for_compiling", lambda: "There is no compiler.")
    kernel = kernel_of(_gpt2(), cuda)
    assert kernel == ("sdpa", "There is no compiler.")
    loaded = LoadedModel(
        model=_gpt2(), tokenizer=None, padded_because="", pieces_because=kernel.reason
    )
    assert loaded.notes == [
        "There is no compiler. Attention is computed response by response: the same numbers, slower."
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [("\nno ptxas\nSet TORCH_LOGS", "no ptxas"), ("", "TorchDynamoException")],
)
def test_a_kernel_that_cannot_be_compiled_says_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, message: str, reason: str
) -> None:
    def fail() -> None:
        raise TorchDynamoException(message)

    monkeypatch.setattr(flex, "_kernel", fail)
    row = torch.zeros(1, 1, 1, 16)
    with pytest.raises(ModelError, match=rf"\({reason}\)\. Set CONCORD_ATTENTION=sdpa"):
        flex._compiled(row, row, row)


def _gpt2() -> GPT2LMHeadModel:
    """Heads of 16."""
    return GPT2LMHeadModel(GPT2Config(vocab_size=99, n_embd=64, n_layer=1, n_head=4))


def test_generation_still_works_with_padding_on_the_left(tiny_policy: LoadedModel) -> None:
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    one = tiny_policy.model.generate(torch.tensor([[7, 8, 9]]), **options)
    padded = tiny_policy.model.generate(
        torch.tensor([[0, 0, 7, 8, 9], [5, 6, 7, 8, 9]]),
        attention_mask=torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]),
        **options,
    )
    assert padded[0, 5:].tolist() == one[0, 3:].tolist()


def test_a_pack_knows_the_place_before_each_response_token() -> None:
    """Group b lies at 10: prompt 10, 11; its response 12..15 is predicted by 11..14."""
    pack = pack_groups(GROUPS)
    of_b = pack.branch_R == 3
    assert pack.response_R[of_b].tolist() == [12, 13, 14, 15]
    assert pack.predictor_R[of_b].tolist() == [11, 12, 13, 14]
    assert pack.last_N.tolist() == [5, 8, 9, 15, 17, 19]
    assert pack.targets_R[of_b].tolist() == [17, 18, 19, 20]
    assert pack.group_N.tolist() == [0, 0, 0, 1, 2, 2]


def test_second_branches_are_predicted_by_the_end_of_the_prompt() -> None:
    pack = pack_groups(GROUPS[:1])
    assert pack.predictor_R.tolist() == [3, 4, 3, 6, 7, 3]


def test_rows_keep_the_budget_and_the_order() -> None:
    """Lengths 10, 6, 4 under 10: a alone, b and c together; under 3 each has its own row."""
    assert [len(row) for row in rows_under_budget(GROUPS, 10)] == [1, 2]
    assert [len(row) for row in rows_under_budget(GROUPS, 3)] == [1, 1, 1]
