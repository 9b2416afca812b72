"""Supervised fine-tuning on responses (Ouyang et al. 2022, step 1), with our changes.

1. The loss is on response tokens only, the end token included, and is a mean over all response
   tokens of a step: token budgets do not change it.
2. Several responses to one prompt are one tree, so that the prompt is computed once.
3. Log-probabilities come a tile of the lm-head at a time; weights take updates in float32.
4. Layers under the lowest trained one are passed once a run, not once an epoch.
5. With include_chosen the best judged response of a prompt is imitated beside the demonstrations.
6. The end token is the tokenizer's, also where the chat template ends turns with another.
"""

from functools import partial

import torch
from torch import Tensor

from training.data.chat import reading_limits
from training.data.demonstrations import demonstration_groups
from training.data.packing import TokenGroup, rows_under_budget
from training.data.records import groups_of, refuse_too_few
from training.data.remembered import RememberedStates
from training.data.stream import Stream
from training.data.tokens import Tally
from training.data.watching import watched
from training.functional.logprobs import target_logprobs
from training.models.load import LoadedModel, head_of
from training.models.lora import publish_policy, starting_policy, trainable_weights
from training.rollout.excerpts import Excerpts
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import my_share, total_of
from training.runtime.optimize import Learn, Optimizer, only_look
from training.runtime.run import Metrics, Run
from training.runtime.sharding import behind
from training.spec.preferences import SftSpec


def train(run: Run, spec: SftSpec) -> Metrics:
    """Train on the responses of the train split and publish the artifact."""
    torch.manual_seed(spec.seed)
    policy = starting_policy(spec, pick_device())
    run.meet(policy.model, notes=policy.notes)
    tally = Tally()
    rows = _training_rows(policy, spec, tally)
    run.reporter.log("The training responses are read.", **tally.as_dict())

    stream = Stream.of(len(rows), spec)
    held_out_rows = partial(_rows, policy, spec, "validation")
    held_out = watched(held_out_rows, run, "responses") if spec.looks_within(stream.steps) else []
    optimizer = Optimizer(trainable_weights(policy.model, spec), spec, steps=stream.steps)

    def reached() -> State:
        return State(optimizer.steps_done, optimizer.tensors(), {})

    state = run.last_state()
    if state is not None:
        optimizer.restore(state.tensors, steps_done=state.step)

    states = RememberedStates(policy)
    for part in (stream.passed(rows), held_out) if optimizer.steps_done < stream.steps else ():
        states.remember(part, budget=spec.tokens_per_forward, run=run)

    policy.model.train()

    excerpts = Excerpts(run, policy, spec)

    def looked() -> dict[str, Tensor]:
        loss, _ = _accumulate(policy, states, held_out, spec, learn=only_look)
        return {"held_out_loss": loss}

    for step in run.steps(optimizer.steps_done, stream.steps, seed=spec.seed, stage="fine-tuning"):
        batch = [rows[at] for at in stream.batch(step)]
        with run.may_break_off(reached):
            loss, tokens = _accumulate(policy, states, batch, spec, learn=optimizer.backward)
        metrics: dict[str, Tensor | float] = {"loss": loss, "tokens": tokens}
        metrics["learning_rate"] = optimizer.learning_rate
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


def _rows(policy: LoadedModel, spec: SftSpec, split: str, tally: Tally) -> list[TokenGroup]:
    return demonstration_groups(
        policy.tokenizer,
        groups_of(spec.data, split, at_most=spec.most_groups(split)),
        limits=reading_limits(policy, spec),
        includes_chosen=spec.include_chosen,
        tally=tally,
    )


def _training_rows(policy: LoadedModel, spec: SftSpec, tally: Tally) -> list[TokenGroup]:
    rows = _rows(policy, spec, "train", tally)
    refuse_too_few(
        sum(len(row.responses) for row in rows),
        what="responses",
        advice=f"Write demonstrations or judge more. {tally.sentence()}",
    )
    return rows


def _accumulate(
    policy: LoadedModel,
    states: RememberedStates,
    batch: list[TokenGroup],
    spec: SftSpec,
    *,
    learn: Learn,
) -> tuple[Tensor, float]:
    """The loss of a batch, a row of trees at a time; its mean and its tokens."""
    tokens = sum(len(response) for group in batch for response in group.responses)
    losses = []
    rows = list(rows_under_budget(my_share(batch), spec.tokens_per_forward))
    idle = behind(len(rows), spec)
    for row in rows:
        pack, hidden_RD = states.predictors(row)
        loss = -target_logprobs(hidden_RD, pack.targets_R, head_of(policy)).sum() / tokens
        learn(loss)
        losses.append([loss])
    for _ in range(idle):
        learn(states.nothing())
    return total_of(losses, width=1)[0], float(tokens)
