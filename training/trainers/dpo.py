"""Direct preference optimization on judged pairs (Rafailov et al. 2023), with our changes.

1. A prompt and all its judged candidates are one tree: each candidate is computed once, however
   many pairs it is in, and the prompt once for all of them.
2. A pair counts by its weight over the number of pairs of its prompt, over the sum of this in the
   step: token budgets do not change the loss.
3. The reference is the policy as the run began: its log-probs are taken once, before the first step.
4. The ipo loss takes mean log-ratios a token instead of sums, so that beta means the same at any
   length.
5. Dropout is off: a ratio must compare like with like.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.chat import reading_limits
from training.data.logratios import LogRatios, lengths_of
from training.data.packing import rows_under_budget
from training.data.preferences import PairGroup, PairReader
from training.data.records import groups_of, refuse_too_few
from training.data.stream import Stream
from training.data.tokens import Tally
from training.data.watching import watched
from training.functional.direct import direct_preference_losses
from training.models.load import LoadedModel
from training.models.lora import publish_policy, starting_policy, trainable_weights
from training.rollout.excerpts import Excerpts
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import my_share, total_of
from training.runtime.optimize import Learn, Optimizer, only_look
from training.runtime.run import Metrics, Run
from training.runtime.sharding import behind
from training.spec.preferences import DpoSpec


def train(run: Run, spec: DpoSpec) -> Metrics:
    """Train on the pairs of the train split and publish the artifact; what was used and dropped."""
    torch.manual_seed(spec.seed)
    policy = starting_policy(spec, pick_device())
    run.meet(policy.model, notes=policy.notes)
    tally = Tally()
    rows = training_pairs(policy, spec, tally)
    run.reporter.log("The training pairs are read.", **tally.as_dict())

    stream = Stream.of(len(rows), spec)
    held_out_rows = partial(_pairs, policy, spec, "validation")
    held_out = watched(held_out_rows, run, "pairs") if spec.looks_within(stream.steps) else []
    optimizer = Optimizer(trainable_weights(policy.model, spec), spec, steps=stream.steps)
    groups, others = ([row.tokens for row in part] for part in (stream.passed(rows), held_out))
    logratios = LogRatios(policy, groups, spec, run, held_out=others)

    def reached() -> State:
        return State(optimizer.steps_done, optimizer.tensors(), {})

    state = run.last_state()
    if state is not None:
        optimizer.restore(state.tensors, steps_done=state.step)

    excerpts = Excerpts(run, policy, spec)

    def looked() -> dict[str, Tensor]:
        found = accumulate(logratios, held_out, spec, learn=only_look)
        return {"held_out_loss": found.loss, "held_out_accuracy": found.accuracy}

    for step in run.steps(optimizer.steps_done, stream.steps, seed=spec.seed, stage="DPO"):
        batch = [rows[at] for at in stream.batch(step)]
        with run.may_break_off(reached):
            learned = accumulate(logratios, batch, spec, learn=optimizer.backward)
        metrics = {**learned._asdict(), "learning_rate": optimizer.learning_rate}
        metrics["grad_norm"] = optimizer.step()
        is_seen = bool(held_out) and spec.looks_at(optimizer.steps_done)
        metrics |= run.look(policy.model, looked, is_due=is_seen)
        run.reporter.metrics(metrics, step=optimizer.steps_done)
        is_due = optimizer.steps_done % spec.checkpoint_every == 0 or step + 1 == stream.steps
        if run.save_or_stop(reached, is_due=is_due):
            excerpts.tell(step=optimizer.steps_done)

    publish_policy(run, policy, spec)
    return {
        "steps": optimizer.steps_done,
        "stop_reason": run.outcome("steps"),
        "prompts": len(rows),
        "records": tally.as_dict(),
    }


def training_pairs(policy: LoadedModel, spec: DpoSpec, tally: Tally) -> list[PairGroup]:
    """The pairs of the train split. Raises DataError where there are too few."""
    rows = _pairs(policy, spec, "train", tally)
    refuse_too_few(
        sum(len(row.pairs) for row in rows),
        what="decided pairs",
        advice=f"Judge more comparisons. {tally.sentence()}",
    )
    return rows


def _pairs(policy: LoadedModel, spec: DpoSpec, split: str, tally: Tally) -> list[PairGroup]:
    reader = PairReader(
        tokenizer=policy.tokenizer,
        limits=reading_limits(policy, spec),
        uses_soft_labels=spec.use_soft_labels,
    )
    return reader.read(groups_of(spec.data, split, at_most=spec.most_groups(split)), tally)


class Learned(NamedTuple):
    """The loss, and weighted means over the step's pairs of what the policy's implicit reward says."""

    loss: Tensor
    accuracy: Tensor  # share of pairs whose chosen response gained more probability
    chosen_reward: Tensor  # beta times the log-ratio
    rejected_reward: Tensor
    log_ratio: Tensor  # how far a response's log-prob is from the starting policy's, up or down: a mean, in nats


def accumulate(
    logratios: LogRatios, batch: list[PairGroup], spec: DpoSpec, *, learn: Learn
) -> Learned:
    """The loss of a batch, a row of trees at a time; the means over its pairs."""
    responses = sum(len(group.lengths) for group in batch)
    total = sum(pair.weight / len(group.pairs) for group in batch for pair in group.pairs)
    parts = []
    rows = list(rows_under_budget(my_share(batch), spec.tokens_per_forward))
    idle = behind(len(rows), spec)
    for row in rows:
        pack, ratio_N = logratios([group.tokens for group in row])
        apart = ratio_N.detach().abs().sum() / responses
        if spec.loss == "ipo":
            ratio_N = ratio_N / lengths_of(pack)
        part = row_loss(ratio_N, row, total, spec)._replace(log_ratio=apart)
        learn(part.loss)
        parts.append(part)
    for _ in range(idle):
        learn(logratios.nothing())
    return Learned(*total_of(parts, width=len(Learned._fields)))


def row_loss(ratio_N: Tensor, row: list[PairGroup], total: float, spec: DpoSpec) -> Learned:
    """The sums of a row of trees, from the log-ratio [N] of each of its responses (of ``ipo`` a token).

    How far they are from 0 is left to say.
    """
    chosen, rejected, label, weight = [], [], [], []
    first = 0
    for group in row:
        for pair in group.pairs:
            chosen.append(first + pair.chosen)
            rejected.append(first + pair.rejected)
            label.append(pair.label)
            weight.append(pair.weight / len(group.pairs) / total)
        first += len(group.lengths)
    weight_B = ratio_N.new_tensor(weight)
    chosen_B, rejected_B = ratio_N[chosen], ratio_N[rejected]
    loss_B = direct_preference_losses(
        chosen_B,
        rejected_B,
        loss=spec.loss,
        beta=spec.beta,
        label_noise=spec.label_noise,
        label_B=ratio_N.new_tensor(label),
    )
    apart_B = (chosen_B - rejected_B).detach()
    return Learned(
        loss=(weight_B * loss_B).sum(),
        accuracy=(weight_B * (0.5 + 0.5 * apart_B.sign())).sum(),
        chosen_reward=(weight_B * spec.beta * chosen_B.detach()).sum(),
        rejected_reward=(weight_B * spec.beta * rejected_B.detach()).sum(),
        log_ratio=ratio_N.new_zeros(()),
    )
