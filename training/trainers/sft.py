"""Supervised fine-tuning on responses (Ouyang et al. 2022, step 1), with our changes.

1. The loss is on response tokens only, the end token included, and is a mean over all response
   tokens of a step: token budgets do not change it.
2. Several responses to one prompt are one tree, so that the prompt is computed once.
3. Log-probabilities come a tile of the lm-head at a time; weights take updates in float32.
4. Layers under the lowest trained one are passed once a run, not once an epoch.
"""

import torch

from training.data.chat import Limits
from training.data.demonstrations import demonstration_groups
from training.data.packing import TokenGroup, rows_under_budget
from training.data.records import groups_of, refuse_too_few
from training.data.remembered import RememberedStates
from training.data.stream import Stream
from training.data.tokens import Tally
from training.functional.logprobs import target_logprobs
from training.models.load import LoadedModel, head_of
from training.models.lora import publish_policy, starting_policy, trainable_weights
from training.rollout.excerpts import Excerpts
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import my_share, total_of
from training.runtime.optimize import Optimizer
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
    optimizer = Optimizer(trainable_weights(policy.model, spec), spec, steps=stream.steps)

    def reached() -> State:
        return State(optimizer.steps_done, optimizer.tensors(), {})

    state = run.last_state()
    if state is not None:
        optimizer.restore(state.tensors, steps_done=state.step)

    states = RememberedStates(policy)
    if optimizer.steps_done < stream.steps:
        states.remember(rows, budget=spec.tokens_per_forward, run=run)

    policy.model.train()
    excerpts = Excerpts(run, policy, spec)
    steps = range(optimizer.steps_done, stream.steps)
    for step in run.reporter.track(
        steps, stage="fine-tuning", total=stream.steps, unit="steps", done=optimizer.steps_done
    ):
        batch = [rows[at] for at in stream.batch(step)]
        with run.may_break_off(reached):
            loss, tokens = _accumulate(policy, states, optimizer, batch, spec)
        learning_rate = optimizer.learning_rate
        norm = optimizer.step()
        run.reporter.metrics(
            {"loss": loss, "grad_norm": norm, "learning_rate": learning_rate, "tokens": tokens},
            step=optimizer.steps_done,
        )
        is_due = optimizer.steps_done % spec.checkpoint_every == 0 or step + 1 == stream.steps
        run.save_or_stop(reached, is_due=is_due)
        if is_due:
            excerpts.tell(step=optimizer.steps_done)

    publish_policy(run, policy, spec)
    return {"steps": stream.steps, "prompts": len(rows), "records": tally.as_dict()}


def _training_rows(policy: LoadedModel, spec: SftSpec, tally: Tally) -> list[TokenGroup]:
    rows = demonstration_groups(
        policy.tokenizer,
        groups_of(spec.data, "train", at_most=spec.max_groups),
        limits=Limits(spec.max_prompt_tokens, spec.max_response_tokens),
        includes_chosen=spec.include_chosen,
        tally=tally,
    )
    refuse_too_few(
        sum(len(row.responses) for row in rows),
        what="responses",
        advice=f"Write demonstrations or judge more. {tally.sentence()}",
    )
    return rows


def _accumulate(
    policy: LoadedModel,
    states: RememberedStates,
    optimizer: Optimizer,
    batch: list[TokenGroup],
    spec: SftSpec,
) -> tuple[torch.Tensor, float]:
    """Gradients of one step, a row of trees at a time; the mean loss and its tokens."""
    tokens = sum(len(response) for group in batch for response in group.responses)
    losses = []
    rows = list(rows_under_budget(my_share(batch), spec.tokens_per_forward))
    idle = behind(len(rows), spec)
    for row in rows:
        pack, hidden_RD = states.predictors(row)
        loss = -target_logprobs(hidden_RD, pack.targets_R, head_of(policy)).sum() / tokens
        optimizer.backward(loss)
        losses.append([loss])
    for _ in range(idle):
        optimizer.backward(states.nothing())
    return total_of(losses, width=1)[0], float(tokens)
