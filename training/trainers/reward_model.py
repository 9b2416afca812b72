"""Bradley-Terry reward model on judged pairs (Ouyang et al. 2022), with our changes.

1. A prompt and all its judged candidates are one tree: each candidate is computed once, however
   many pairs it is in, and the prompt once for all of them.
2. A pair counts by its weight over the number of pairs of its prompt (1 / C(K, 2) in the paper),
   over the sum of this in the step: token budgets do not change the loss.
3. Votes are soft labels, strengths may be margins, and the squared mean score is held near 0.
4. Ties are left out, half a win for each, or a third outcome with a learned parameter (Davidson
   1970; Rao and Kupper 1967), which has a learning rate of its own.
5. With objective plackett_luce a prompt whose pairs leave one order is learned from as a ranking: the
   mean over its K - 1 choices, so that it counts as much as a prompt with pairs.
6. Each of several heads learns from all prompts, with weights of its own, drawn from an exponential
   distribution with mean 1 (Bayesian bootstrap, Rubin 1981); the loss is the mean of theirs.
7. Weights take their updates in float32; the score head is float32 throughout.
8. Layers under the lowest trained one are passed once a run, not once an epoch.
9. Heads start from a logistic regression on the backbone's own states (Kumar et al. 2022): a random
   head's first steps spoil what the backbone knows, and few pairs never make up for it.
10. The mean score of training responses is kept as an offset: less it, they score 0 on average.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.bootstrap import bootstrap_weights
from training.data.chat import reading_limits
from training.data.head_start import fitted_heads
from training.data.packing import TokenGroup, pack_groups, rows_under_budget
from training.data.preferences import PairGroup, PairReader
from training.data.rankings import with_rankings
from training.data.records import groups_of, refuse_too_few
from training.data.remembered import NOBODY, RememberedStates
from training.data.stream import Stream
from training.data.tokens import Tally
from training.data.watching import watched
from training.functional.preference import PairLoss, bradley_terry_loss, strength_margin
from training.functional.rankings import plackett_luce_loss
from training.models.load import LoadedModel
from training.models.lora import (
    ADAPTER_DIR,
    Adapter,
    merge_lora,
    merged_on_the_cpu,
    precision_of,
    trainable_weights,
    unsharded,
)
from training.models.reward import (
    deviation,
    is_decoder,
    mean_head,
    save_calibration,
    save_reward_model,
    score_heads,
    score_hidden,
    score_tree,
    start_heads,
    take_heads,
    untrained_reward_model,
)
from training.models.ties import LearnedTies, learned_ties
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import my_share, rank, total_of
from training.runtime.optimize import Learn, Optimizer, only_look
from training.runtime.run import Metrics, Run, at_rest
from training.runtime.sharding import behind
from training.spec.preferences import RewardModelSpec

REFERENCE = 64  # training prompts whose responses set the zero of the scores


def train(run: Run, spec: RewardModelSpec) -> Metrics:
    """Train on the pairs of the train split and publish the artifact; what was used and dropped."""
    torch.manual_seed(spec.seed)
    reward = untrained_reward_model(spec, pick_device())
    run.meet(reward.model, notes=reward.notes)
    tally = Tally()
    rows = _training_rows(reward, spec, tally)
    run.reporter.log("The training pairs are read.", **tally.as_dict())

    stream = Stream.of(len(rows), spec)
    held_out_rows = partial(_rows, reward, spec, "validation")
    held_out = watched(held_out_rows, run, "pairs") if spec.looks_within(stream.steps) else []
    weights = trainable_weights(reward.model, spec)
    state = run.last_state()
    step = state.step if state else None
    states = _remembered(reward, rows, held_out, stream, spec, run, step=step)
    optimizer = Optimizer(weights, spec, steps=stream.steps)
    shares = [pair.tied for row in rows for pair in row.pairs]
    ties = learned_ties(shares, spec, steps=stream.steps, device=reward.device)

    def reached() -> State:
        tensors = optimizer.tensors() | (ties.tensors() if ties else {})
        return State(optimizer.steps_done, tensors, {})

    if state is not None:
        optimizer.restore(state.tensors, steps_done=state.step)
        if ties:
            ties.restore(state)

    reward.model.train()

    def looked() -> dict[str, Tensor]:
        found = _accumulate(reward, states, held_out, ties, spec, learn=only_look)
        return {"held_out_loss": found.loss, "held_out_accuracy": found.accuracy}

    for step in run.steps(optimizer.steps_done, stream.steps, seed=spec.seed, stage="reward model"):
        batch = [rows[at] for at in stream.batch(step)]
        with run.may_break_off(reached):
            learned = _accumulate(reward, states, batch, ties, spec, learn=optimizer.backward)
        rate, norm = optimizer.learning_rate, optimizer.step()
        metrics = {**learned._asdict(), "learning_rate": rate, "grad_norm": norm}
        if ties:
            metrics["tie_parameter"] = ties.step()
        is_due = bool(held_out) and spec.looks_at(optimizer.steps_done)
        metrics |= run.look(reward.model, looked, is_due=is_due)
        run.reporter.metrics(metrics, step=optimizer.steps_done)
        run.save_or_stop(
            reached,
            is_due=optimizer.steps_done % spec.checkpoint_every == 0 or step + 1 == stream.steps,
        )

    offset = _publish(run, reward, ties, rows[:REFERENCE], spec)
    return {
        "steps": optimizer.steps_done,
        "stop_reason": run.outcome("steps"),
        "prompts": len(rows),
        "offset": offset,
        "records": tally.as_dict(),
    }


def _remembered(
    reward: LoadedModel,
    rows: list[PairGroup],
    held_out: list[PairGroup],
    stream: Stream,
    spec: RewardModelSpec,
    run: Run,
    *,
    step: int | None,
) -> RememberedStates | None:
    """The states of a decoder, and with them its heads' start; ``step`` is that of the checkpoint, if there is one."""
    if not is_decoder(reward):
        return None
    states = RememberedStates(reward)
    seen = rows if spec.head_start == "fitted" else stream.passed(rows)
    for part in (seen, held_out) if step is None or step < stream.steps else ():
        states.remember([row.tokens for row in part], budget=spec.tokens_per_forward, run=run)
    if step is None and spec.head_start == "fitted":
        with at_rest(reward.model):  # new adapters drop states out otherwise
            start_heads(reward, fitted_heads(states, rows, spec, run))
    return states


def _publish(
    run: Run,
    reward: LoadedModel,
    ties: LearnedTies | None,
    reference: Sequence[PairGroup],
    spec: RewardModelSpec,
) -> float:
    """Merge, find the zero of scores on the reference prompts, save; the zero."""
    final, adapter = _merged(run, reward, spec)
    scoring = final if spec.quantize == "none" else reward  # of which the device has the weights
    offset = 0.0
    if rank() == 0:  # which alone has the whole model where it is sharded
        scoring.model.eval()
        offset = mean_score(scoring, [row.tokens for row in reference], spec)

    def write(folder: Path) -> None:
        save_reward_model(final, folder)
        read = {name: getattr(spec, name) for name in ("max_prompt_tokens", "max_response_tokens")}
        save_calibration(folder, offset=offset, **read)
        if adapter and not spec.layers:  # onto a base of more layers it would not belong
            adapter.save(folder / ADAPTER_DIR, head=mean_head(final))
        if ties:
            save_calibration(folder, ties=ties.model, tie_parameter=ties.parameter)

    run.publish(write)
    return offset


def _merged(
    run: Run, reward: LoadedModel, spec: RewardModelSpec
) -> tuple[LoadedModel, Adapter | None]:
    """As of a policy (`publish_policy`), for a backbone and its heads."""

    def load(device: torch.device) -> LoadedModel:
        precision = precision_of(reward.model)
        return untrained_reward_model(spec, device, precision=precision, quantize="none")

    if spec.quantize == "none":
        whole = unsharded(reward, spec, lambda: load(reward.device))
        return (whole, merge_lora(whole.model)) if whole else (reward, None)
    plain, adapter = merged_on_the_cpu(run, reward, load, head=mean_head(reward))
    take_heads(plain, reward)
    return plain, adapter


@torch.no_grad()
def mean_score(reward: LoadedModel, groups: Sequence[TokenGroup], spec: RewardModelSpec) -> float:
    """The mean score of all responses of these groups: what is to count as 0 (Ziegler et al. 2019)."""
    scores = [
        score_tree(reward, pack.tree, pack.last_N)
        for row in rows_under_budget(groups, spec.tokens_per_forward)
        for pack in [pack_groups(row).to(reward.device)]
    ]
    return torch.cat(scores).mean().item()


def _rows(reward: LoadedModel, spec: RewardModelSpec, split: str, tally: Tally) -> list[PairGroup]:
    reader = PairReader(
        tokenizer=reward.tokenizer,
        limits=reading_limits(reward, spec),
        uses_soft_labels=spec.use_soft_labels,
        keeps_ties=spec.ties != "drop",
    )
    rows = reader.read(groups_of(spec.data, split, at_most=spec.most_groups(split)), tally)
    return with_rankings(rows, tally) if spec.objective == "plackett_luce" else rows


def _training_rows(reward: LoadedModel, spec: RewardModelSpec, tally: Tally) -> list[PairGroup]:
    rows = _rows(reward, spec, "train", tally)
    decided = sum(not pair.record.is_tie for row in rows for pair in row.pairs)
    refuse_too_few(
        decided,
        what="decided pairs",
        advice=f"Judge more comparisons. {tally.sentence()}",
    )
    return rows


class Learned(NamedTuple):
    """The loss, and weighted means over the step's pairs for the mean score of the heads."""

    loss: Tensor
    nll: Tensor
    accuracy: Tensor
    difference: Tensor
    disagreement: Tensor  # deviation of the heads' differences; 0 for one head


def _accumulate(
    reward: LoadedModel,
    states: RememberedStates | None,
    batch: list[PairGroup],
    ties: LearnedTies | None,
    spec: RewardModelSpec,
    *,
    learn: Learn,
) -> Learned:
    """The loss of a batch, a row of trees at a time; the sums over its pairs."""
    total = sum(map(_weight, batch))
    parts = []
    rows = list(rows_under_budget(my_share(batch), spec.tokens_per_forward))
    idle = behind(len(rows), spec)
    for row in rows:
        draws = _draws(row, spec) if learn is not only_look else [[1.0] * spec.heads for _ in row]
        part = row_loss(_scores(reward, states, row), row, draws, total, ties, spec)
        learn(part.loss)
        parts.append(part)
    for _ in range(idle):
        learn(_nothing(reward, states))
    return Learned(*total_of(parts, width=len(Learned._fields)))


def _draws(row: Sequence[PairGroup], spec: RewardModelSpec) -> list[Sequence[float]]:
    """What each group counts for each head that learns."""
    return [bootstrap_weights(group.tokens.prompt_id, spec) for group in row]


def _nothing(reward: LoadedModel, states: RememberedStates | None) -> Tensor:
    """A pass that adds 0, as `RememberedStates.nothing`."""
    if states is not None:
        return states.nothing()
    pack = pack_groups([NOBODY]).to(reward.device)
    return 0.0 * score_heads(reward, pack.tree, pack.last_N).sum()


def _scores(reward: LoadedModel, states: RememberedStates | None, row: list[PairGroup]) -> Tensor:
    groups = [group.tokens for group in row]
    if states is None:
        pack = pack_groups(groups).to(reward.device)
        return score_heads(reward, pack.tree, pack.last_N)
    return score_hidden(reward, states.last(groups))


class Scored(NamedTuple):
    """A group with the scores [K] of its responses and what it counts in the step."""

    group: PairGroup
    scores_K: Tensor
    share: float


def row_loss(
    scores_NH: Tensor,
    row: Sequence[PairGroup],
    draws: Sequence[Sequence[float]],
    total: float,
    ties: LearnedTies | None,
    spec: RewardModelSpec,
) -> Learned:
    """The sums of a row of trees, from the scores [N, H] of its responses by every head.

    ``draws`` are what each group counts for each head.
    """
    sizes = [len(group.lengths) for group in row]
    pieces = torch.split(scores_NH, sizes)
    mean = _loss(
        [Scored(*one, 1 / total) for one in zip(row, (x.mean(-1) for x in pieces), strict=True)],
        ties,
        spec,
    )
    doubt = (
        torch.stack([_disagreement(*one) for one in zip(row, pieces, strict=True)]).sum() / total
    )
    if spec.heads == 1:
        return Learned(*mean, doubt)
    losses = [
        _loss(
            [
                Scored(group, piece[:, head], draw[head] / total)
                for group, piece, draw in zip(row, pieces, draws, strict=True)
            ],
            ties,
            spec,
        ).loss
        for head in range(spec.heads)
    ]
    return Learned(torch.stack(losses).mean(), *mean[1:], doubt)


def _disagreement(group: PairGroup, scores_KH: Tensor) -> Tensor:
    """The weighted mean over its pairs of how far the heads disagree about their difference."""
    chosen, rejected = (
        list(side) for side in zip(*[pair[:2] for pair in group.pairs], strict=True)
    )
    weight_B = scores_KH.new_tensor([pair.weight for pair in group.pairs]) / len(group.pairs)
    return (weight_B * deviation(scores_KH.detach()[chosen] - scores_KH.detach()[rejected])).sum()


def _weight(group: PairGroup) -> float:
    """The mean weight of its pairs."""
    return sum(pair.weight for pair in group.pairs) / len(group.pairs)


def _loss(scored: Sequence[Scored], ties: LearnedTies | None, spec: RewardModelSpec) -> PairLoss:
    """The sums over rankings, and over the pairs of groups that have none."""
    parts = [
        plackett_luce_loss(
            scores_K[list(group.ranking)], weight=share * _weight(group), centering=spec.centering
        )
        for group, scores_K, share in scored
        if group.ranking
    ]
    if paired := [one for one in scored if not one.group.ranking]:
        parts.append(_pairs_loss(paired, ties, spec))
    return PairLoss(*(torch.stack(one).sum() for one in zip(*parts, strict=True)))


def _pairs_loss(
    scored: Sequence[Scored], ties: LearnedTies | None, spec: RewardModelSpec
) -> PairLoss:
    pairs = [pair for group, _, _ in scored for pair in group.pairs]
    chosen_B = torch.cat([s[[pair.chosen for pair in group.pairs]] for group, s, _ in scored])
    rejected_B = torch.cat([s[[pair.rejected for pair in group.pairs]] for group, s, _ in scored])
    weight = [
        share * pair.weight / len(group.pairs) for group, _, share in scored for pair in group.pairs
    ]
    margin_B = strength_margin(chosen_B.new_tensor([pair.margin for pair in pairs]))
    return bradley_terry_loss(
        chosen_B,
        rejected_B,
        weight_B=chosen_B.new_tensor(weight),
        label_B=chosen_B.new_tensor([pair.label for pair in pairs]),
        margin_B=margin_B if spec.use_margin else None,
        label_smoothing=spec.label_smoothing,
        centering=spec.centering,
        ties=ties.of([pair.tied for pair in pairs]) if ties else None,
    )
