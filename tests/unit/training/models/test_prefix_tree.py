from collections.abc import Sequence
from dataclasses import replace
from weakref import ref

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
from training.models import attention, expanded, flex
from training.models.attention import (
    kernel_of,
    plant_trees,
    tree_hidden,
    use_prefix_tree,
    why_padded,
)
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
SYSTEM = tuple(range(40, 60))
ROOTED = [replace(one, prompt=(*SYSTEM, *one.prompt)) for one in GROUPS]
rows = pytest.mark.parametrize("groups", [GROUPS, ROOTED], ids=["trees", "trees of one root"])


def alone(
    backbone: torch.nn.Module, prompt: tuple[int, ...], response: tuple[int, ...]
) -> torch.Tensor:
    hidden = backbone(input_ids=torch.tensor([[*prompt, *response]])).last_hidden_state[0]
    return hidden[len(prompt) :]


@rows
def test_a_response_has_the_states_it_would_have_alone(groups: Sequence[TokenGroup]) -> None:
    model = tiny_llama()
    expected = [alone(model.model, g.prompt, r) for g in groups for r in g.responses]
    assert use_prefix_tree(model) == ""
    pack = pack_groups(groups)
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


@rows
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
def test_families_served_by_trees_equal_padded_rows(
    config: object, groups: Sequence[TokenGroup]
) -> None:
    model = AutoModelForCausalLM.from_config(config).eval()
    assert use_prefix_tree(model) == ""
    tree = pack_groups(groups).tree
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


@rows
def test_gradients_of_trees_equal_those_of_padded_rows(
    tiny_policy: LoadedModel, groups: Sequence[TokenGroup]
) -> None:
    tree = pack_groups(groups).tree
    weights = list(tiny_policy.backbone.parameters())
    of_tree = torch.autograd.grad(
        tree_hidden(tiny_policy.backbone, tree, is_tree=True).square().sum(), weights
    )
    of_rows = torch.autograd.grad(
        tree_hidden(tiny_policy.backbone, tree, is_tree=False).square().sum(), weights
    )
    torch.testing.assert_close(of_tree, of_rows, atol=1e-3, rtol=1e-4)


def test_copies_of_keys_and_values_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made of what is kept anyway, in the forward pass and again in the backward pass."""
    made: list[ref[torch.Tensor]] = []

    def repeated(one: torch.Tensor, repeats: int) -> torch.Tensor:
        copies = one.repeat_interleave(repeats, dim=1)
        made.append(ref(copies))
        return copies

    monkeypatch.setattr(expanded, "repeat_kv", repeated)
    model = tiny_llama(layers=1)
    use_prefix_tree(model)
    hidden = tree_hidden(model.model, pack_groups(GROUPS).tree, is_tree=True)
    of_forward = len(made)
    assert of_forward == 2 * 8  # keys and values of three prompts and five branches, b's in one
    assert not any(one() is not None for one in made)
    hidden.square().sum().backward()
    assert len(made) == 2 * of_forward


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@rows
@torch.no_grad()
def test_flexible_attention_gives_the_states_of_sdpa(
    tiny_policy: LoadedModel, monkeypatch: pytest.MonkeyPatch, groups: Sequence[TokenGroup]
) -> None:
    """On a CPU it runs uncompiled, forward only. The row is longer than a block of 128."""
    long = TokenGroup(prompt_id="d", prompt=(*SYSTEM, *(3,) * 130), responses=())
    tree = pack_groups([*groups * 7, long]).tree
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


def test_what_all_prompts_begin_with_lies_in_the_row_once() -> None:
    """20 tokens, then the trees as they would lie without it, at positions that go on after it."""
    tree, trees = pack_groups(ROOTED).tree, pack_groups(GROUPS).tree
    assert tree.root == 20
    assert tree.tokens_T.tolist() == [*SYSTEM, *trees.tokens_T.tolist()]
    assert tree.positions_T.tolist() == [
        *range(20),
        *(20 + at for at in trees.positions_T.tolist()),
    ]
    assert pack_groups(ROOTED).predictor_R.tolist() == [
        20 + at for at in pack_groups(GROUPS).predictor_R.tolist()
    ]


@pytest.mark.parametrize(
    ("prompts", "root"),
    [
        ([SYSTEM], 0),  # nobody to share it with
        ([SYSTEM, SYSTEM], 19),  # each keeps a token of its own
        ([SYSTEM[:16], SYSTEM], 0),  # fifteen are too few
        ([SYSTEM, (*SYSTEM[:17], 3, 4)], 17),
        ([(3, *SYSTEM), SYSTEM], 0),
    ],
)
def test_a_root_is_what_is_worth_sharing(prompts: list[tuple[int, ...]], root: int) -> None:
    assert plant_trees([(one, [(5,)]) for one in prompts]).root == root
