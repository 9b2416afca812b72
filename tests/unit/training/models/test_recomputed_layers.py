"""Gradient checkpointing: the same gradients from what enters each layer, and less memory held for them."""

from copy import deepcopy
from weakref import ref

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.unit.training.models.test_families import PADDED, TREES
from training.models.attention import plant_trees, tree_hidden, use_prefix_tree
from training.runtime.optimize import recompute_layers

TREE = plant_trees([(list(range(3, 90)), [[6, 7] * 20, [8, 9, 10] * 9]), ([11, 12], [[13]])])
PLACES = torch.tensor([len(TREE.tokens_T) - 1, 100, 120])


def backbone(family):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        config = deepcopy((TREES | PADDED)[family])
        config.num_hidden_layers = 4
        config.layer_types = 2 * (getattr(config, "layer_types", None) or [])
        model = AutoModelForCausalLM.from_config(config)
    return model, not use_prefix_tree(model)


def outcome(model, *, is_tree):
    """States and gradients, and the bytes that are held between the two."""
    held = {}

    def keep(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        states = tree_hidden(model.base_model, TREE, is_tree=is_tree, at_N=PLACES)
        loss = states.square().sum()
    used = [one for one in model.base_model.parameters() if one.requires_grad]
    gradients = torch.autograd.grad(loss, used)
    return [states, *gradients], sum(held[one] for one in held.keys() - weights)


@pytest.mark.parametrize("family", [*TREES, *PADDED])
def test_gradients_have_the_same_bits_and_less_is_held(family):
    model, is_tree = backbone(family)
    right, before = outcome(model.eval(), is_tree=is_tree)
    recompute_layers(model)
    found, after = outcome(model, is_tree=is_tree)
    assert all(torch.equal(one, other) for one, other in zip(found, right, strict=True))
    assert after < 0.6 * before


@pytest.mark.parametrize("family", TREES)
def test_attention_keeps_nothing_that_is_computed_again(family, monkeypatch):
    """A quarter of the calls are the last layer's, which is not."""
    sdpa, queries = torch.nn.functional.scaled_dot_product_attention, []

    def attend(query, *told, **settings):
        queries.append(ref(query))
        return sdpa(query, *told, **settings)

    model, is_tree = backbone(family)
    recompute_layers(model)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    states = tree_hidden(model.eval().base_model, TREE, is_tree=is_tree)
    kept = [one() is not None for one in queries]
    assert states.requires_grad
    assert kept == [False] * (len(kept) * 3 // 4) + [True] * (len(kept) // 4)


def test_without_gradients_a_layer_is_passed_once():
    model, is_tree = backbone("llama")
    recompute_layers(model)
    passed = []
    model.base_model.layers[0].mlp.register_forward_hook(lambda *_: passed.append(1))
    with torch.no_grad():
        tree_hidden(model.base_model, TREE, is_tree=is_tree)
    assert passed == [1]
