"""PPO on responses (Schulman et al. 2017; Ziegler et al. 2019; Ouyang et al. 2022), with our changes.

1. KL to the reference is taken from the reward token by token, not added to the loss; its price
   follows Ziegler's controller.
2. The score is placed on the last response token. Responses without an end token pay a penalty, in
   units of the normalized reward. Rewards lose their running mean and deviation first.
3. Old log-probs come from the training forward: a sampler's rounding is no ratio.
4. Minibatches keep their members over the epochs of one update, in another order each epoch: the
   states under the trained layers are computed once, and the first ratio is exactly 1.
5. Advantages are whitened over the real tokens of the whole batch.
6. The value head starts at zero (or as an earlier run left it) and has its own learning rate; its
   loss reaches the policy's weights by value_weight.
7. An update ends before the step at which the policy has moved beyond target_kl.
8. Dropout is off throughout: a ratio must compare like with like.
9. With importance_cap advantages are weighed by how much likelier a token is to the trainer than it
   was to the sampler, at most by that.
10. With baseline leave_one_out no value is learned: all tokens of a response share its whole reward
   (score minus the price of its KL) less the mean of the prompt's others (Ahmadian et al. 2024).
11. PPO-ptx imitates demonstrations and chosen responses, in place of the pretraining data.
12. Responses are sampled at temperature 0.9 by default; log-probs are of the tempered policy.

Shapes: N responses, T tokens of the longest, R response tokens of a part.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.records import groups_of, refuse_too_few
from training.data.tokens import Tally
from training.functional.advantages import (
    Advantages,
    explained_variance,
    generalized_advantages,
    shaped_rewards,
    whiten,
)
from training.functional.grouped import against_the_others
from training.functional.kl import adapted_coefficient, kl_estimates
from training.functional.moments import Moments, with_batch
from training.functional.policy import clipped_policy_loss, clipped_value_loss
from training.models.lora import publish_policy, starting_policy
from training.rollout.actor_critic import Actor, ActorCritic
from training.rollout.buffer import Lesson, Padded, Part, Rollout, by_process
from training.rollout.explorer import Explorer, asked, watched_prompts
from training.rollout.guards import Vitals, alarms
from training.rollout.imitation import Imitation
from training.rollout.learner import Learner
from training.rollout.recall import minibatch_orders, recall
from training.rollout.scoring import load_held_out, load_scorer
from training.rollout.server import sampler_of
from training.rollout.telling import batch_numbers, sampler_gap, signs, tell_update
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import count_of_all, everyones, total_of
from training.runtime.run import Metrics, Run
from training.runtime.sharding import behind
from training.spec.errors import ModelError
from training.spec.rollouts import PpoSpec


def train(run: Run, spec: PpoSpec) -> Metrics:
    """Improve the policy on the prompts of the train split and publish it."""
    torch.manual_seed(spec.seed)
    device = pick_device()
    policy = starting_policy(spec, device)
    run.meet(policy.model, notes=policy.notes)
    actor = ActorCritic(policy, spec, has_critic=spec.baseline == "value")
    scorer = load_scorer(run, spec, device)
    tally = Tally()
    prompts = asked(policy, groups_of(spec.data, "train", at_most=spec.max_groups), spec, tally)
    run.reporter.log("The prompts are read.", **tally.as_dict())
    refuse_too_few(len(prompts), what="prompts", advice="Add prompts to the train split.")
    explorer = Explorer(
        sampler_of(run, policy, spec, [one.tokens for one in prompts]),
        scorer,
        prompts,
        spec,
        held_out=load_held_out(run, spec, device),
        watched=watched_prompts(policy, spec, run),
    )
    learner = Learner(actor.weights, spec, value_head=actor.value_head)
    imitation = _imitation(run, actor, spec)
    progress = Progress(beta=spec.kl_coefficient)
    state = run.last_state()
    if state is not None:
        learner.restore(state)
        progress = Progress.from_facts(state.facts)

    def reached() -> State:
        return State(progress.updates, learner.tensors(), progress.facts(learner))

    for update in run.steps(
        progress.updates, spec.updates, seed=spec.seed, stage="PPO", unit="updates"
    ):
        with run.may_break_off(reached):
            rollouts, seen = explorer.explored(update)
            parts = recall(actor, rollouts, spec)
        rollouts = by_process(rollouts, minibatches=spec.minibatches)
        progress.moments, scores_N = normalized(rollouts, progress.moments, spec)
        sizes = [len(one.samples) for one in rollouts]
        batch = judge(parts, scores_N.to(device), sizes, beta=progress.beta, spec=spec)
        learned = improve(
            actor, batch.minibatches, learner, spec, update=update, imitation=imitation
        )
        vitals = Vitals(batch.kl, batch.entropy, batch.length, **signs(rollouts))
        progress.first = progress.first or vitals
        progress.updates = update + 1
        metrics = _metrics(rollouts, batch, learned, progress, learner) | sampler_gap(parts) | seen
        tell_update(run, rollouts, metrics, update=progress.updates, spec=spec)
        for alarm in alarms(vitals, Vitals(*progress.first), spec):
            run.guard(**alarm._asdict(), step=progress.updates)
        progress.beta = adapted_coefficient(
            progress.beta,
            kl=batch.kl,
            target=spec.adaptive_kl_target,
            horizon=spec.adaptive_kl_horizon,
            responses=len(scores_N),
        )
        run.save_or_stop(
            reached,
            is_due=progress.updates == spec.updates
            or progress.updates % spec.checkpoint_every == 0,
        )

    publish_policy(
        run, policy, spec, beside=None if actor.value_head is None else actor.value_head.save
    )
    return {
        "updates": progress.updates,
        "stop_reason": run.outcome("updates"),
        "beta": progress.beta,
        "prompts": len(prompts),
        "records": tally.as_dict(),
    }


def _imitation(run: Run, actor: ActorCritic, spec: PpoSpec) -> Imitation | None:
    if not spec.ptx_weight:
        return None
    tally = Tally()
    imitation = Imitation(actor, spec, tally)
    run.reporter.log("The responses to imitate are read.", **tally.as_dict())
    return imitation


@dataclass(slots=True)
class Progress:
    """Everything besides weights that a resumed run needs."""

    beta: float
    updates: int = 0
    moments: Moments = field(default_factory=Moments)
    first: Vitals | None = None  # of the first update; None before it

    def facts(self, learner: Learner) -> dict[str, object]:
        return {**asdict(self), "steps": learner.steps_done}

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> "Progress":
        """Raises ModelError when the checkpoint is of another kind of run."""
        try:
            kept = {name: facts[name] for name in ("beta", "updates")}
            return cls(
                **kept,  # type: ignore[arg-type] # JSON carries no types
                moments=Moments(*facts["moments"]),  # type: ignore[misc] # as above
                first=Vitals(*facts["first"]),  # type: ignore[misc] # as above
            )
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"The checkpoint is not one of PPO ({error}); use a new folder."
            ) from error


def normalized(
    rollouts: Sequence[Rollout], moments: Moments, spec: PpoSpec
) -> tuple[Moments, Tensor]:
    """The moments of all scores so far, and the rewards [N] that PPO sees."""
    penalty = spec.uncertainty_penalty
    raw_N = torch.tensor(
        [one for rollout in rollouts for one in rollout.rewards(uncertainty_penalty=penalty)]
    )
    ended_N = torch.tensor([sample.finished for one in rollouts for sample in one.samples])
    moments = with_batch(moments, raw_N)
    if spec.normalize_rewards:
        raw_N = (raw_N - moments.mean) / moments.deviation
    return moments, raw_N - spec.missing_eos_penalty * (~ended_N)


class Judged(NamedTuple):
    """The lessons of an update by minibatch, and what describes the batch."""

    minibatches: list[list[Lesson]]
    kl: float
    entropy: float
    length: float
    advantage_deviation: float
    explained_variance: float
    reference_gap: float


def judge(
    minibatches: Sequence[Sequence[Part]],
    scores_N: Tensor,
    sizes: Sequence[int],
    *,
    beta: float,
    spec: PpoSpec,
) -> Judged:
    """Rewards, advantages and returns over the whole batch, handed back to this process's parts.

    ``sizes`` are the numbers of responses to each prompt, in the order of `by_process`; they sum to N.
    """
    parts = list(chain.from_iterable(minibatches))
    padded = Padded.of(parts)
    mask_NT = padded.mask_NT
    policy_NT = padded.wide([part.old.logprob_R for part in parts])
    reference_NT = padded.wide([part.reference_R for part in parts])
    values_NT = padded.wide([part.old.value_R for part in parts])
    kl_NT = kl_estimates(policy_NT, reference_NT, spec.kl_estimator)
    rewards_NT = shaped_rewards(scores_N, kl_NT, mask_NT, beta=beta)
    if spec.baseline == "value":
        made = generalized_advantages(
            rewards_NT, values_NT, mask_NT, gamma=spec.gamma, lam=spec.gae_lambda
        )
    else:
        made = _left_one_out(rewards_NT.sum(-1), sizes, mask_NT)
    advantages = padded.flat(whiten(made.advantages_NT, mask_NT), parts)
    returns = padded.flat(made.returns_NT, parts)
    lessons = [
        [
            Lesson(part, next(advantages) * part.correction(spec.importance_cap), next(returns))
            for part in minibatch
        ]
        for minibatch in minibatches
    ]
    return Judged(
        minibatches=lessons,
        kl=(policy_NT - reference_NT).sum(-1).mean().item(),
        entropy=everyones([part.old.entropy_R for part in parts]).mean().item(),
        length=mask_NT.sum(-1).float().mean().item(),
        advantage_deviation=made.advantages_NT[mask_NT].std(correction=0).item(),
        explained_variance=explained_variance(values_NT[mask_NT], made.returns_NT[mask_NT]).item(),
        reference_gap=(policy_NT - reference_NT).abs().max().item(),
    )


def _left_one_out(rewards_N: Tensor, sizes: Sequence[int], mask_NT: Tensor) -> Advantages:
    """One advantage for all tokens of a response; no value has returns to foresee."""
    apart_N = torch.cat([against_the_others(one) for one in torch.split(rewards_N, list(sizes))])
    return Advantages(
        apart_N[:, None].where(mask_NT, 0.0), torch.zeros_like(mask_NT, dtype=apart_N.dtype)
    )


class Learned(NamedTuple):
    """One optimizer step, or the mean of an update's."""

    policy_loss: float
    value_loss: float
    clip_fraction: float
    value_clip_fraction: float
    approximate_kl: float
    ratio: float
    ptx_loss: float = 0.0  # a token of what is imitated; 0 where nothing is
    grad_norm: float = 0.0  # known once the step is taken


def improve(
    actor: Actor,
    minibatches: Sequence[Sequence[Lesson]],
    learner: Learner,
    spec: PpoSpec,
    *,
    update: int,
    imitation: Imitation | None = None,
) -> list[Learned]:
    """The optimizer steps of one update; fewer where the policy moved beyond target_kl."""
    taken: list[Learned] = []
    for order in minibatch_orders(len(minibatches), spec, update=update):
        for number in order:
            step = _gradients(actor, minibatches[number], learner, spec)
            if spec.target_kl and step.approximate_kl > spec.target_kl:
                learner.drop()
                return taken
            ptx_loss = imitation.backward(learner) if imitation else 0.0
            taken.append(step._replace(ptx_loss=ptx_loss, grad_norm=learner.step()))
    return taken


def _gradients(actor: Actor, lessons: Sequence[Lesson], learner: Learner, spec: PpoSpec) -> Learned:
    """The gradients of one minibatch, a part at a time; the sums of what the parts tell."""
    count = count_of_all(sum(len(lesson.advantage_R) for lesson in lessons))
    idle = behind(len(lessons), spec)
    told: list[tuple[Tensor, ...]] = []
    for part, advantage_R, return_R in lessons:
        new = actor.outputs(part.pack, part.lower_TD)
        policy = clipped_policy_loss(
            new.logprob_R, part.old.logprob_R, advantage_R, clip_range=spec.clip_range, count=count
        )
        value = clipped_value_loss(
            new.value_R, part.old.value_R, return_R, clip_range=spec.value_clip_range, count=count
        )
        entropy = new.entropy_R.sum() / count
        learner.backward(
            policy.loss + spec.value_weight * value.loss - spec.entropy_weight * entropy
        )
        told.append(
            (
                policy.loss,
                value.loss,
                policy.clip_fraction,
                value.clip_fraction,
                policy.approximate_kl,
                policy.ratio,
            )
        )
    for _ in range(idle):
        learner.backward(actor.nothing())
    return Learned(*torch.stack(total_of(told, width=6)).tolist())


def _metrics(
    rollouts: Sequence[Rollout],
    batch: Judged,
    learned: Sequence[Learned],
    progress: Progress,
    learner: Learner,
) -> dict[str, float]:
    means = [statistics.fmean(column) for column in zip(*learned, strict=True)]
    judged = {name: one for name, one in batch._asdict().items() if name != "minibatches"}
    return {
        **batch_numbers(rollouts),
        **judged,
        "beta": progress.beta,
        **dict(zip(Learned._fields, means, strict=False)),
        "optimizer_steps": len(learned),
        "learning_rate": learner.learning_rate,
    }
