"""A backbone cut below its lowest trained layer: what lies under the cut never changes in a run.

The states at the cut are computed once a batch and serve every later pass over it: the policy, its
reference, and all epochs of an update. With 6 of 30 layers trained that is most of the work.

Shapes: T tokens of a row of trees, N places in it, D hidden size.
"""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from training.models.attention import Tree, plant_trees, tree_hidden
from training.models.load import LoadedModel
from training.runtime.optimize import transformer_layers
from training.spec.errors import ModelError

PROBE = ([0, 1, 2], [[1, 2], [2, 0, 1]])
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}


class SplitBackbone:
    """The lower part of frozen layers and the upper part, as two passes that equal the whole.

    Families that do more than run their layers one after another (scaled embeddings, a norm in
    between) are found out by a probe, and then run whole: ``frozen`` is 0.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._whole = loaded.backbone
        self._is_tree = loaded.is_tree
        self.frozen = _frozen_layers(loaded) if self._is_tree else 0
        if self.frozen:
            layers = transformer_layers(loaded.model)
            self._lower = _part(self._whole, layers[: self.frozen], norm=nn.Identity())
            self._upper = _part(self._whole, layers[self.frozen :], norm=self._whole.norm)
            self.frozen *= int(self._parts_equal_whole(loaded.device))

    @torch.no_grad()
    def lower(self, tree: Tree) -> Tensor | None:
        """States at the cut, to be kept; None where nothing is frozen."""
        if not self.frozen:
            return None
        return tree_hidden(self._lower, tree, is_tree=True)

    def upper(self, tree: Tree, lower_TD: Tensor | None, *, at_N: Tensor | None = None) -> Tensor:
        """Hidden states of the whole backbone, from the states at the cut where there are any.

        With ``at_N`` those at these places [N, D], else all [T, D].
        """
        if lower_TD is None:
            return tree_hidden(self._whole, tree, is_tree=self._is_tree, at_N=at_N)
        return tree_hidden(self._upper, tree, is_tree=True, entering_TD=lower_TD, at_N=at_N)

    @torch.no_grad()
    def _parts_equal_whole(self, device: torch.device) -> bool:
        tree = plant_trees([PROBE]).to(device)
        whole_TD = tree_hidden(self._whole, tree, is_tree=True)
        parts_TD = self.upper(tree, tree_hidden(self._lower, tree, is_tree=True))
        gap = (parts_TD - whole_TD).abs().max() / whole_TD.abs().max()
        return bool(gap <= TOLERANCE.get(whole_TD.dtype, 0.05))


def _frozen_layers(loaded: LoadedModel) -> int:
    """How many layers from the bottom have nothing to train in or below them."""
    embedding = loaded.model.get_input_embeddings().parameters()
    if not hasattr(loaded.backbone, "norm") or any(one.requires_grad for one in embedding):
        return 0
    layers = transformer_layers(loaded.model)
    trained = [any(one.requires_grad for one in layer.parameters()) for layer in layers]
    return trained.index(True) if any(trained) else 0


def _part(backbone: Any, layers: Iterable[nn.Module], *, norm: nn.Module) -> Any:
    """A view of a backbone (Any: as in LoadedModel) with these layers; the weights are shared."""
    if not isinstance(getattr(backbone, "layers", None), nn.ModuleList):
        raise ModelError("Only a backbone with a list of layers can be split.")
    view = copy.copy(backbone)
    view._modules = {  # noqa: SLF001 - a shallow copy shares the table of modules otherwise
        **backbone._modules,  # noqa: SLF001
        "layers": nn.ModuleList(layers),
        "norm": norm,
    }
    return view
