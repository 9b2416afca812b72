"""Kahneman-Tversky optimization on single good and bad responses (Ethayarajh et al. 2024), with our changes.

1. A response is good if it won more than it lost, bad if it lost more or was judged unacceptable:
   "all bad" verdicts, which pairs cannot use, count here.
2. A prompt, its responses, and one response of another prompt are one tree. The foreign responses
   of a step give the reference point z, an estimate of KL that takes no gradient. (A step is
   forwarded twice: z is of the whole step, whatever the token budget.)
3. The loss is a weighted mean over the step's responses.
4. The reference is the policy as the run began: its log-probs are taken once, before the first step.
5. Dropout is off: a ratio must compare like with like.
"""

from functools import partial
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.chat import reading_limits
from training.data.logratios import LogRatios
from training.data.packing import rows_under_budget
from training.data.records import groups_of, refuse_too_few
from training.data.signals import SignalGroup, signal_groups
from training.data.stream import Stream
from training.data.tokens import Tally
from training.data.watching import watched
from training.functional.direct import kahneman_tversky_losses, mismatched_kl
from training.models.load import LoadedModel
from training.models.lora import publish_policy, starting_policy, trainable_weights
from training.rollout.excerpts import Excerpts
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import everyones, my_share, total_of
from training.runtime.optimize import Learn, Optimizer, only_look
from training.runtime.run import Metrics, Run
from training.runtime.sharding import behind
from training.spec.preferences import KtoSpec


def train(run: Run, spec: KtoSpec) -> Metrics:
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
    groups, others = ([row.tokens for row in part] for part in (stream.passed(rows), held_out))
    logratios = LogRatios(policy, groups, spec, run, held_out=others)

    def reached() -> State:
        return State(optimizer.steps_done, optimizer.tensors(), {})

    state = run.last_state()
    if state is not None:
        optimizer.restore(state.tensors, steps_done=state.step)

    excerpts = Excerpts(run, policy, spec)

    def looked() -> dict[str, Tensor]:
        found = _accumulate(logratios, held_out, spec, learn=only_look)
        return {"held_out_loss": found.loss}

    for step in run.steps(optimizer.steps_done, stream.steps, seed=spec.seed, stage="KTO"):
        batch = [rows[at] for at in stream.batch(step)]
        with run.may_break_off(reached):
            learned = _accumulate(logratios, batch, spec, learn=optimizer.backward)
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


def _rows(policy: LoadedModel, spec: KtoSpec, split: str, tally: Tally) -> list[SignalGroup]:
    return signal_groups(
        policy.tokenizer,
        groups_of(spec.data, split, at_most=spec.most_groups(split)),
        limits=reading_limits(policy, spec),
        tally=tally,
    )


def _training_rows(policy: LoadedModel, spec: KtoSpec, tally: Tally) -> list[SignalGroup]:
    rows = _rows(policy, spec, "train", tally)
    verdicts = list(chain.from_iterable(row.is_good for row in rows))
    for what, number in (
        ("good responses", sum(verdicts)),
        ("bad responses", len(verdicts) - sum(verdicts)),
    ):
        refuse_too_few(
            number,
            what=what,
            advice=f"Judge more comparisons. {tally.sentence()}",
        )
    return rows


class Learned(NamedTuple):
    """The loss, and of the step's responses: the reference point, the mean implicit rewards, the mean distance."""

    loss: Tensor
    reference_point: Tensor
    good_reward: Tensor
    bad_reward: Tensor
    log_ratio: Tensor  # as in DPO


def _accumulate(
    logratios: LogRatios, batch: list[SignalGroup], spec: KtoSpec, *, learn: Learn
) -> Learned:
    """The loss of a batch, a row of trees at a time; the means over its responses."""
    rows = list(rows_under_budget(my_share(batch), spec.tokens_per_forward))
    idle = behind(len(rows), spec)
    with torch.no_grad():
        ratios = [logratios([group.tokens for group in row])[1] for row in rows]
        for _ in range(idle):
            logratios.nothing()
    foreign = [ratio_N[_places(row).foreign] for ratio_N, row in zip(ratios, rows, strict=True)]
    point = mismatched_kl(everyones(foreign))
    is_good_N = torch.tensor(list(chain.from_iterable(one.is_good for one in batch)))
    good, bad = int(is_good_N.sum()), int((~is_good_N).sum())
    total = spec.desirable_weight * good + spec.undesirable_weight * bad
    parts = []
    for row in rows:
        _, ratio_N = logratios([group.tokens for group in row])
        places = _places(row)
        own_N = ratio_N[places.own]
        is_good_n = torch.tensor(places.is_good, device=own_N.device)
        loss_N = kahneman_tversky_losses(own_N, is_good_n, reference_point=point, beta=spec.beta)
        weight_N = torch.where(is_good_n, spec.desirable_weight, spec.undesirable_weight)
        loss = (weight_N * loss_N).sum() / max(total, 1e-12)
        learn(loss)
        reward_N = spec.beta * own_N.detach()
        parts.append(
            (
                loss,
                reward_N[is_good_n].sum() / max(good, 1),
                reward_N[~is_good_n].sum() / max(bad, 1),
                own_N.detach().abs().sum() / (good + bad),
            )
        )
    for _ in range(idle):
        learn(logratios.nothing())
    loss, *others = total_of(parts, width=4)
    return Learned(loss, point, *others)


class _Places(NamedTuple):
    """Where a row's own and foreign responses are among all, and which of its own are good."""

    own: list[int]
    foreign: list[int]
    is_good: list[bool]


def _places(row: list[SignalGroup]) -> _Places:
    places = _Places([], [], [])
    first = 0
    for group in row:
        foreign, end = first + len(group.is_good), first + len(group.tokens.responses)
        places.own.extend(range(first, foreign))
        places.foreign.extend(range(foreign, end))
        places.is_good.extend(group.is_good)
        first = end
    return places
