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

from typing import NamedTuple

import torch
from torch import Tensor

from training.data.chat import Limits
from training.data.logratios import LogRatios, lengths_of
from training.data.packing import rows_under_budget
from training.data.preferences import PairGroup, PairReader
from training.data.records import groups_of, refuse_too_few
from training.data.stream import Stream
from training.data.tokens import Tally
from training.functional.direct import direct_preference_losses
from training.models.load import LoadedModel
from training.models.lora import publish_policy, starting_policy, trainable_weights
from training.rollout.excerpts import Excerpts
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import my_share, total_of
from training.runtime.optimize import Optimizer
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
    optimizer = Optimizer(trainable_weights(policy.model, spec), spec, steps=stream.steps)
    logratios = LogRatios(policy, [row.tokens for row in rows], spec, run)

    def reached() -> State:
        return State(optimizer.steps_done, optimizer.tensors(), {})

    state = run.last_state()
    if state is not None:
        optimizer.restore(state.tensors, steps_done=state.step)

    excerpts = Excerpts(run, policy, spec)
    steps = range(optimizer.steps_done, stream.steps)
    for step in run.reporter.track(
        steps, stage="DPO", total=stream.steps, unit="steps", done=optimizer.steps_done
    ):
        batch = [rows[at] for at in stream.batch(step)]
        with run.may_break_off(reached):
            learned = accumulate(logratios, optimizer, batch, spec)
        learning_rate = optimizer.learning_rate
        norm = optimizer.step()
        run.reporter.metrics(
            {**learned._asdict(), "grad_norm": norm, "learning_rate": learning_rate},
            step=optimizer.steps_done,
        )
        is_due = optimizer.steps_done % spec.checkpoint_every == 0 or step + 1 == stream.steps
        run.save_or_stop(reached, is_due=is_due)
        if is_due:
            excerpts.tell(step=optimizer.steps_done)

    publish_policy(run, policy, spec)
    return {"steps": stream.steps, "prompts": len(rows), "records": tally.as_dict()}


def training_pairs(policy: LoadedModel, spec: DpoSpec, tally: Tally) -> list[PairGroup]:
    """The pairs of the train split. Raises DataError where there are too few."""
    reader = PairReader(
        tokenizer=policy.tokenizer,
        limits=Limits(spec.max_prompt_tokens, spec.max_response_tokens),
        uses_soft_labels=spec.use_soft_labels,
    )
    rows = reader.read(groups_of(spec.data, "train", at_most=spec.max_groups), tally)
    refuse_too_few(
        sum(len(row.pairs) for row in rows),
        what="decided pairs",
        advice=f"Judge more comparisons. {tally.sentence()}",
    )
    return rows


class Learned(NamedTuple):
    """The loss, and weighted means over the step's pairs of what the policy's implicit reward says."""

    loss: Tensor
    accuracy: Tensor  # share of pairs whose chosen response gained more probability
    chosen_reward: Tensor  # beta times the log-ratio
    rejected_reward: Tensor


def accumulate(
    logratios: LogRatios, optimizer: Optimizer, batch: list[PairGroup], spec: DpoSpec
) -> Learned:
    """Gradients of one step, a row of trees at a time; the means over its pairs."""
    total = sum(pair.weight / len(group.pairs) for group in batch for pair in group.pairs)
    parts = []
    rows = list(rows_under_budget(my_share(batch), spec.tokens_per_forward))
    idle = behind(len(rows), spec)
    for row in rows:
        pack, ratio_N = logratios([group.tokens for group in row])
        if spec.loss == "ipo":
            ratio_N = ratio_N / lengths_of(pack)
        part = row_loss(ratio_N, row, total, spec)
        optimizer.backward(part.loss)
        parts.append(part)
    for _ in range(idle):
        optimizer.backward(logratios.nothing())
    return Learned(*total_of(parts, width=len(Learned._fields)))


def row_loss(ratio_N: Tensor, row: list[PairGroup], total: float, spec: DpoSpec) -> Learned:
    """The sums of a row of trees, from the log-ratio [N] of each of its responses."""
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
    )
