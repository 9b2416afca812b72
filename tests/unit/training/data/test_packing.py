"""What a row of groups knows of its responses."""

import torch

from training.data.packing import TokenGroup, pack_groups


def group(*responses: tuple[int, ...]) -> TokenGroup:
    return TokenGroup(prompt_id="", prompt=(3, 4), responses=responses)


def test_values_are_summed_over_each_response():
    """Of 2, 1 and 3 tokens; the group between has none."""
    pack = pack_groups([group((5, 6), (7,)), group(), group((8, 9, 9))])
    sums_N = pack.sums(torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))
    assert sums_N.tolist() == [3.0, 4.0, 56.0]


def test_a_row_without_responses_has_no_sums():
    pack = pack_groups([group(), group()])
    assert pack.targets_R.tolist() == []
    assert pack.sums(torch.zeros(0)).tolist() == []
