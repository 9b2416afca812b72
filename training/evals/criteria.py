"""A head for each criterion that people judged by, so that a score can be explained.

The heads do not train the model. Each is a logistic regression of the verdicts under one criterion on the published
model's own states, as the score's head itself began (`functional.probe`): a direction among what the model knows. It is
measured on held-out verdicts beside the score, which knows of no criterion.

Shapes: B pairs, C criteria, D hidden size, K responses of a group.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from training.data.chat import reading_limits
from training.data.packing import pack_groups, rows_under_budget
from training.data.preferences import PairGroup, PairReader
from training.data.records import groups_of, spread
from training.data.tokens import Tally
from training.evals.scored_pairs import half_win
from training.functional.intervals import mean_of_clusters
from training.functional.probe import fit_direction
from training.models.load import LoadedModel
from training.models.reward import (
    CriterionHeads,
    is_decoder,
    last_states,
    save_criteria,
    score_hidden,
)
from training.runtime.run import Run
from training.spec.preferences import RewardModelSpec
from training.spec.records import Group

FEWEST = 20  # decided pairs that a head is fitted to
MOST = 10_000  # held in memory with their states, eight times over while a head is fitted
Reading = Callable[[str, Tensor], Tensor]  # a criterion, a difference of states [D]
NO_PAIRS = "There are no held-out pairs under this criterion."


@dataclass(slots=True)
class Verdicts:
    """The decided pairs under one criterion: what was read of their states, differences of scores, labels, prompts."""

    read: list[Tensor] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)


def explain(
    run: Run, spec: RewardModelSpec, reward: LoadedModel, tallies: dict[str, Tally]
) -> list[dict[str, object]]:
    """Fit a head a criterion beside the published weights; how each does on held-out pairs, which are counted."""
    if not is_decoder(reward):
        return []
    learned_from = Tally()
    learned = _verdicts(
        *(run, spec, reward, "train"), tally=learned_from, stage="criteria", read=_difference
    )
    fitted = {name: _direction(one) for name, one in learned.items() if len(one.labels) >= FEWEST}
    if not fitted:
        return []
    heads = CriterionHeads(tuple(fitted), torch.stack(list(fitted.values())).float().cpu())
    save_criteria(run.artifact, heads)

    def told(name: str, difference_D: Tensor) -> Tensor:
        return difference_D.double() @ fitted.get(name, torch.zeros_like(difference_D.double()))

    tallies["verdicts"] = Tally()
    held_out = _verdicts(
        *(run, spec, reward, "validation", "test"),
        tally=tallies["verdicts"],
        stage="held-out criteria",
        read=told,
    )
    return [
        {"name": name, "trained_on": len(learned[name].labels)}
        | _measured(held_out.get(name, Verdicts()))
        for name in fitted
    ]


def _difference(_name: str, difference_D: Tensor) -> Tensor:
    return difference_D


def _direction(verdicts: Verdicts) -> Tensor:
    difference_BD = torch.stack(verdicts.read)
    return fit_direction(
        difference_BD,
        difference_BD.new_tensor(verdicts.labels),
        weight_B=difference_BD.new_ones(len(verdicts.labels)),
        cluster_B=torch.tensor(verdicts.prompts, device=difference_BD.device),
    )


def _measured(verdicts: Verdicts) -> dict[str, object]:
    """How often the head sides with people, and how often the score does, on the same pairs."""
    return {
        "accuracy": _share(verdicts.prompts, [one.item() for one in verdicts.read]),
        "score_accuracy": _share(verdicts.prompts, verdicts.scores),
    }


def _share(prompts: Sequence[int], differences: Sequence[float]) -> dict[str, object]:
    clusters: defaultdict[int, list[float]] = defaultdict(list)
    for prompt, difference in zip(prompts, differences, strict=True):
        clusters[prompt].append(half_win(difference))
    return mean_of_clusters(list(clusters.values()), why_empty=NO_PAIRS)._asdict()


def _verdicts(
    run: Run,
    spec: RewardModelSpec,
    reward: LoadedModel,
    *splits: str,
    tally: Tally,
    stage: str,
    read: Reading,
) -> dict[str, Verdicts]:
    """The pairs of these splits under every criterion, at most `MOST` of each."""
    reader = PairReader(tokenizer=reward.tokenizer, limits=reading_limits(reward, spec))
    records = _under_criteria(
        groups_of(spec.data, *splits, at_most=spec.max_groups), seed=spec.seed
    )
    groups = reader.read(spread(list(records), spec.most_measured, tally), tally)
    run.reporter.log(f"The pairs under {stage} are read.", **tally.as_dict())
    rows = list(rows_under_budget(groups, spec.tokens_per_forward))
    found: defaultdict[str, Verdicts] = defaultdict(Verdicts)
    number = 0
    for row in run.track(rows, stage=stage, total=len(rows), unit="batches"):
        for group, states_KD in zip(row, _states(reward, row), strict=True):
            scores_K = score_hidden(reward, states_KD).mean(-1)
            _take(found, group, states_KD, scores_K, number=number, read=read)
            number += 1
    return dict(sorted(found.items()))


def _under_criteria(groups: list[Group], *, seed: int) -> Iterator[Group]:
    """Groups with their pairs under criteria alone; where there are too many, prompts drawn at random."""
    counts = Counter(pair.criterion for group in groups for pair in group.criterion_pairs)
    if max(counts.values(), default=0) > MOST:
        groups = random.Random(seed).sample(groups, len(groups))  # noqa: S311 - no secret
    taken: Counter[str] = Counter()
    for group in groups:
        pairs = tuple(one for one in group.criterion_pairs if taken[one.criterion] < MOST)
        taken.update(one.criterion for one in pairs)
        if pairs:
            yield replace(group, pairs=pairs)


@torch.no_grad()
def _states(reward: LoadedModel, row: Sequence[PairGroup]) -> Sequence[Tensor]:
    """The states [K, D] of the last tokens of each group's responses."""
    pack = pack_groups([group.tokens for group in row]).to(reward.device)
    states_ND = last_states(reward, pack.tree, pack.last_N).float()
    return torch.split(states_ND, [len(group.lengths) for group in row])


def _take(
    found: Mapping[str, Verdicts],
    group: PairGroup,
    states_KD: Tensor,
    scores_K: Tensor,
    *,
    number: int,
    read: Reading,
) -> None:
    for pair in group.pairs:
        verdicts = found[pair.record.criterion]
        difference_D = states_KD[pair.chosen] - states_KD[pair.rejected]
        verdicts.read.append(read(pair.record.criterion, difference_D))
        verdicts.scores.append((scores_K[pair.chosen] - scores_K[pair.rejected]).item())
        verdicts.labels.append(pair.label)
        verdicts.prompts.append(number)
