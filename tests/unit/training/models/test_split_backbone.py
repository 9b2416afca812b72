import pytest
import torch
from transformers import GraniteConfig, GraniteForCausalLM

from training.models.attention import plant_trees, tree_hidden, use_prefix_tree
from training.models.load import LoadedModel
from training.models.split import SplitBackbone
from training.models.tiny import tiny_llama
from training.runtime.optimize import choose_trainable

TREE = plant_trees([([3, 4, 5], [[6, 7], [8, 9, 10]]), ([11, 12], [[13]])])


def loaded(model):
    return LoadedModel(model=model.eval(), tokenizer=None, padded_because=use_prefix_tree(model))


@pytest.mark.parametrize("top_layers", [1, 3])
def test_the_two_parts_equal_the_whole(top_layers):
    policy = loaded(tiny_llama(layers=4))
    choose_trainable(policy.model, top_layers=top_layers)
    split = SplitBackbone(policy)
    assert split.frozen == 4 - top_layers
    parts = split.upper(TREE, split.lower(TREE))
    torch.testing.assert_close(parts, tree_hidden(policy.backbone, TREE, is_tree=True))


def test_gradients_reach_the_upper_part_only():
    policy = loaded(tiny_llama(layers=4))
    weights = choose_trainable(policy.model, top_layers=2)
    split = SplitBackbone(policy)
    split.upper(TREE, split.lower(TREE)).square().sum().backward()
    touched = {name for name, one in policy.model.named_parameters() if one.grad is not None}
    assert touched == set(weights)


def test_a_model_trained_whole_is_not_split():
    policy = loaded(tiny_llama())
    choose_trainable(policy.model, top_layers=0)
    split = SplitBackbone(policy)
    assert split.frozen == 0
    assert split.lower(TREE) is None
    torch.testing.assert_close(
        split.upper(TREE, None), tree_hidden(policy.backbone, TREE, is_tree=True)
    )


def test_a_family_that_scales_its_embeddings_is_found_out_and_runs_whole():
    config = GraniteConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        embedding_multiplier=12.0,
        pad_token_id=0,
    )
    policy = loaded(GraniteForCausalLM(config))
    choose_trainable(policy.model, top_layers=1)
    split = SplitBackbone(policy)
    assert split.frozen == 0
    torch.testing.assert_close(
        split.upper(TREE, split.lower(TREE)),
        tree_hidden(policy.backbone, TREE, is_tree=policy.is_tree),
    )
