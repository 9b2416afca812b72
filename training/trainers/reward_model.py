"""Bradley-Terry reward model on judged pairs (Ouyang et al. 2022), with our changes.

1. A prompt and all its judged candidates are one tree: each candidate is computed once, however
   many pairs it is in, and the prompt once for all of them.
2. A pair counts by its weight over the number of pairs of its prompt (1 / C(K, 2) in the paper),
   over the sum of this in the step: token budgets do not change the loss.
3. Votes are soft labels, strengths may be margins, and the squared mean score is held near 0.
4. Weights take their updates in float32; the score head is float32 throughout.
5. Layers under the lowest trained one are passed once a run, not once an epoch.
"""

import torch

from training.data.chat import Limits
from training.data.packing import pack_groups, rows_under_budget
from training.data.preferences import PairGroup, PairReader
from training.data.records import groups_of, refuse_too_few
from training.data.remembered import RememberedStates
from training.data.stream import Stream
from training.data.tokens import Tally
from training.functional.preference import PairLoss, bradley_terry_loss, strength_margin
from training.models.load import LoadedModel, save_model
from training.models.lora import merge_lora, trainable_weights
from training.models.reward import is_decoder, new_reward_model, score_hidden, score_tree
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.optimize import Optimizer
from training.runtime.run import Metrics, Run
from training.spec.runs import RewardModelSpec


def train(run: Run, spec: RewardModelSpec) -> Metrics:
    """Train on the pairs of the train split and publish the artifact; what was used and dropped."""
    torch.manual_seed(spec.seed)
    device = pick_device()
    reward = new_reward_model(spec.model, precision=spec.precision, device=device, seed=spec.seed)
    run.watch(reward.model)
    tally = Tally()
    rows = _training_rows(reward, spec, tally)
    run.reporter.log("The training pairs are read.", **tally.as_dict())

    stream = Stream.of(len(rows), spec)
    optimizer = Optimizer(trainable_weights(reward.model, spec), spec, steps=stream.steps)

    def reached() -> State:
        return State(optimizer.steps_done, optimizer.tensors(), {})

    state = run.last_state()
    if state is not None:
        optimizer.restore(state.tensors, steps_done=state.step)

    states = RememberedStates(reward) if is_decoder(reward) else None
    if states is not None and optimizer.steps_done < stream.steps:
        groups = [row.tokens for row in rows]
        states.remember(groups, budget=spec.tokens_per_forward, run=run)

    reward.model.train()
    steps = range(optimizer.steps_done, stream.steps)
    for step in run.reporter.track(
        steps, stage="reward model", total=stream.steps, unit="steps", done=optimizer.steps_done
    ):
        batch = [rows[at] for at in stream.batch(step)]
        with run.may_break_off(reached):
            loss = _accumulate(reward, states, optimizer, batch, spec)
        learning_rate = optimizer.learning_rate
        norm = optimizer.step()
        run.reporter.metrics(
            {**loss._asdict(), "grad_norm": norm, "learning_rate": learning_rate},
            step=optimizer.steps_done,
        )
        run.save_or_stop(
            reached,
            is_due=optimizer.steps_done % spec.checkpoint_every == 0 or step + 1 == stream.steps,
        )

    merge_lora(reward.model)
    run.publish(lambda folder: save_model(reward, folder))
    return {"steps": stream.steps, "prompts": len(rows), "records": tally.as_dict()}


def _training_rows(reward: LoadedModel, spec: RewardModelSpec, tally: Tally) -> list[PairGroup]:
    reader = PairReader(
        tokenizer=reward.tokenizer,
        limits=Limits(spec.max_prompt_tokens, spec.max_response_tokens),
        uses_soft_labels=spec.use_soft_labels,
        keeps_ties=spec.ties == "half",
    )
    rows = reader.read(groups_of(spec.data, "train", at_most=spec.max_groups), tally)
    decided = sum(not pair.record.is_tie for row in rows for pair in row.pairs)
    refuse_too_few(
        decided,
        what="decided pairs",
        advice=f"Judge more comparisons; what became of the records: {tally.as_dict()}.",
    )
    return rows


def _accumulate(
    reward: LoadedModel,
    states: RememberedStates | None,
    optimizer: Optimizer,
    batch: list[PairGroup],
    spec: RewardModelSpec,
) -> PairLoss:
    """Gradients of one step, a row of trees at a time; the sums over its pairs."""
    total = sum(pair.weight / len(group.pairs) for group in batch for pair in group.pairs)
    parts = []
    for row in rows_under_budget(batch, spec.tokens_per_forward):
        part = _row_loss(_scores(reward, states, row), row, total, spec)
        optimizer.backward(part.loss)
        parts.append(part)
    return PairLoss(*(torch.stack(one).detach().sum() for one in zip(*parts, strict=True)))


def _scores(
    reward: LoadedModel, states: RememberedStates | None, row: list[PairGroup]
) -> torch.Tensor:
    groups = [group.tokens for group in row]
    if states is None:
        pack = pack_groups(groups).to(reward.device)
        return score_tree(reward, pack.tree, pack.last_N)
    pack, hidden_TD = states.hidden(groups)
    return score_hidden(reward, hidden_TD[pack.last_N])


def _row_loss(
    scores_N: torch.Tensor, row: list[PairGroup], total: float, spec: RewardModelSpec
) -> PairLoss:
    chosen, rejected, label, margin, weight = [], [], [], [], []
    first = 0
    for group in row:
        for pair in group.pairs:
            chosen.append(first + pair.chosen)
            rejected.append(first + pair.rejected)
            label.append(pair.label)
            margin.append(pair.margin)
            weight.append(pair.weight / len(group.pairs) / total)
        first += len(group.lengths)
    margin_B = strength_margin(scores_N.new_tensor(margin)) if spec.use_margin else None
    return bradley_terry_loss(
        scores_N[chosen],
        scores_N[rejected],
        weight_B=scores_N.new_tensor(weight),
        label_B=scores_N.new_tensor(label),
        margin_B=margin_B,
        label_smoothing=spec.label_smoothing,
        centering=spec.centering,
    )
