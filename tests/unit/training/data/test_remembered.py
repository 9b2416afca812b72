"""States under the cut, computed once and put into rows that they did not come from."""

from dataclasses import replace
from pathlib import Path

import torch

from training.data.packing import TokenGroup
from training.data.remembered import RememberedStates
from training.models.attention import use_prefix_tree
from training.models.load import LoadedModel
from training.models.tiny import tiny_llama
from training.runtime.metrics import Reporter
from training.runtime.optimize import choose_trainable
from training.runtime.run import Run
from training.runtime.stopping import StopRequest

SYSTEM = tuple(range(40, 60))
A = TokenGroup(prompt_id="a", prompt=(*SYSTEM, 5, 6), responses=((9, 10), (11,)))
B = TokenGroup(prompt_id="b", prompt=(*SYSTEM, 15), responses=((17, 18),))
C = replace(B, prompt_id="c", prompt=(21, 22))


def test_states_of_a_row_with_a_root_fit_rows_with_another_or_none(tmp_path: Path) -> None:
    model = tiny_llama(layers=3)
    policy = LoadedModel(model=model.eval(), tokenizer=None, padded_because=use_prefix_tree(model))
    choose_trainable(model, top_layers=1)
    anew, remembered = RememberedStates(policy), RememberedStates(policy)
    with Reporter(tmp_path, has_bar=False) as reporter:
        run = Run(folder=tmp_path, reporter=reporter, stop=StopRequest())
        remembered.remember([A, B, C], budget=48, run=run)  # A and B in one row, C in its own
    for row in ([A, B], [B, A], [B], [A, C]):
        torch.testing.assert_close(remembered.last(row), anew.last(row))
