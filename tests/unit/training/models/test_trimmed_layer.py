"""The last layer, computed only where its output is read."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from tests.unit.training.models.test_families import TREES
from training.models.attention import plant_trees, tree_hidden, use_prefix_tree

TREE = plant_trees([([3, 4, 5], [[6, 7], [8, 9, 10]]), ([11, 12], [[13]])])
PLACES = torch.tensor([4, 7, 7, 10])  # a place may be read twice


@pytest.fixture(params=TREES)
def backbone(request):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = AutoModelForCausalLM.from_config(TREES[request.param])
    assert not use_prefix_tree(model)
    return model.base_model.eval().double()  # float32 gradients differ in the last bits


def outcome(backbone, states):
    weights = [one for one in backbone.parameters() if one.requires_grad]
    return states, torch.autograd.grad(states.square().sum(), weights)


def test_states_and_gradients_are_those_of_the_whole_layer(backbone):
    whole = outcome(backbone, tree_hidden(backbone, TREE, is_tree=True)[PLACES])
    read = outcome(backbone, tree_hidden(backbone, TREE, is_tree=True, at_N=PLACES))
    torch.testing.assert_close(read, whole)


def test_it_computes_less_and_leaves_the_model_as_it_was(backbone):
    def flops(**settings):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            tree_hidden(backbone, TREE, is_tree=True, **settings)
        return counter.get_total_flops()

    before = flops()
    assert flops(at_N=PLACES) < 0.85 * before
    assert flops() == before
