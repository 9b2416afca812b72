"""Packing: groups of tokens end to end in one row under a budget, each prompt computed once.

Shapes: T tokens of the row, N branches (responses) of the row, R response tokens of the row.
"""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from training.models.attention import Tree, plant_trees

Tokens = TypeVar("Tokens", bound=Sized)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGroup:
    """One prompt and its responses as token ids; ``candidate_ids`` name the responses in order."""

    prompt_id: str
    prompt: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    candidate_ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(one) for one in self.responses)


class Pack(NamedTuple):
    """A row of groups. Branches are numbered in the order of groups and of their responses.

    ``response_R`` are the places of response tokens in the row, ``predictor_R`` the places whose
    hidden state predicts them (for a first token: the last one of the prompt), ``branch_R`` their
    branch; ``last_N`` is the place of every branch's last token, ``group_N`` its group.
    """

    tree: Tree
    response_R: Tensor
    predictor_R: Tensor
    branch_R: Tensor
    last_N: Tensor
    group_N: Tensor

    @property
    def targets_R(self) -> Tensor:  # noqa: N802 - its shape
        """The response tokens themselves."""
        return self.tree.tokens_T[self.response_R]

    def sums(self, values_R: Tensor) -> Tensor:
        """The sum [N] over each response's tokens, with the same bits each time on a GPU too."""
        lengths = [length for span in self.tree.spans for length in span.branches]
        if not lengths:
            return values_R
        return pad_sequence(list(torch.split(values_R, lengths)), batch_first=True).sum(-1)

    def to(self, device: torch.device) -> "Pack":
        return Pack(self.tree.to(device), *(one.to(device) for one in self[1:]))


def pack_groups(groups: Sequence[TokenGroup]) -> Pack:
    """One row of these groups; every group needs a prompt and every response a token."""
    tree = plant_trees([(one.prompt, one.responses) for one in groups])
    response: list[int] = []
    predictor: list[int] = []
    branch: list[int] = []
    last: list[int] = []
    group: list[int] = []
    for number, span in enumerate(tree.spans):
        for start, length in zip(span.branch_starts(), span.branches, strict=True):
            response.extend(range(start, start + length))
            predictor.extend([span.start + span.prompt - 1, *range(start, start + length - 1)])
            branch.extend([len(last)] * length)
            last.append(start + length - 1)
            group.append(number)
    columns = (response, predictor, branch, last, group)
    return Pack(tree, *(torch.tensor(one, dtype=torch.long) for one in columns))


def rows_under_budget(groups: Sequence[Tokens], budget: int) -> Iterator[list[Tokens]]:
    """Groups in order, as many a row as the token budget takes; a larger one has its own."""
    row: list[Tokens] = []
    filled = 0
    for group in groups:
        if row and filled + len(group) > budget:
            yield row
            row, filled = [], 0
        row.append(group)
        filled += len(group)
    if row:
        yield row
