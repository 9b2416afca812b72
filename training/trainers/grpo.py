"""GRPO against a reward model (Shao et al. 2024), and Dr. GRPO (Liu et al. 2025), with our changes.

1. A response's advantage is its score less the mean of its prompt's responses, over their deviation
   (Dr. GRPO: not over it); all its tokens share it. No value is learned.
2. KL to the reference is in the loss, as k3, with a fixed price.
3. The loss is a mean over the tokens of a response, then over responses (Dr. GRPO: a sum over tokens
   divided by the longest allowed, so that long answers are not favored).
4. Old log-probs come from the training forward: a sampler's rounding is no ratio.
5. With importance_cap advantages are weighed by how much likelier a token is to the trainer than it
   was to the sampler, at most by that.
6. Minibatches keep their members over the passes of one update, in another order each pass.
7. An update ends before the step at which the policy has moved beyond target_kl.
8. Responses without an end token pay a penalty, in units of the score.
9. Dropout is off throughout.

Shapes: N responses, R response tokens of a part.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from training.data.records import groups_of, refuse_too_few
from training.data.tokens import Tally
from training.functional.grouped import against_the_group, grouped_policy_loss
from training.models.lora import publish_policy, starting_policy
from training.rollout.actor_critic import Actor, ActorCritic
from training.rollout.buffer import Part, Rollout, by_process
from training.rollout.explorer import Explorer, asked, watched_prompts
from training.rollout.guards import Vitals, alarms
from training.rollout.learner import Learner
from training.rollout.recall import minibatch_orders, recall
from training.rollout.scoring import load_held_out, load_scorer
from training.rollout.server import sampler_of
from training.rollout.telling import batch_numbers, sampler_gap, signs, tell_update
from training.runtime.checkpoint import State
from training.runtime.device import pick_device
from training.runtime.distributed import count_of_all, everyones, own_part, total_of
from training.runtime.run import Metrics, Run
from training.runtime.sharding import behind
from training.spec.errors import ModelError
from training.spec.rollouts import GrpoSpec


def train(run: Run, spec: GrpoSpec) -> Metrics:
    """Improve the policy on the prompts of the train split and publish it."""
    torch.manual_seed(spec.seed)
    device = pick_device()
    policy = starting_policy(spec, device)
    run.meet(policy.model, notes=policy.notes)
    actor = ActorCritic(policy, spec, has_critic=False)
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
    learner = Learner(actor.weights, spec)
    progress = Progress()
    state = run.last_state()
    if state is not None:
        learner.restore(state)
        progress = Progress.from_facts(state.facts)

    def reached() -> State:
        return State(progress.updates, learner.tensors(), progress.facts(learner))

    for update in run.steps(
        progress.updates, spec.updates, seed=spec.seed, stage="GRPO", unit="updates"
    ):
        with run.may_break_off(reached):
            rollouts, seen = explorer.explored(update)
            minibatches = recall(actor, rollouts, spec)
        rollouts = by_process(rollouts, minibatches=spec.minibatches)
        lessons = compared(minibatches, advantages_of(rollouts, spec), spec)
        learned = improve(actor, lessons, learner, spec, update=update)
        vitals = vitals_of(minibatches, signs(rollouts))
        progress.first = progress.first or vitals
        progress.updates = update + 1
        metrics = _metrics(rollouts, vitals, learned, learner) | sampler_gap(minibatches) | seen
        tell_update(run, rollouts, metrics, update=progress.updates, spec=spec)
        for alarm in alarms(vitals, Vitals(*progress.first), spec):
            run.guard(**alarm._asdict(), step=progress.updates)
        is_last = progress.updates == spec.updates
        run.save_or_stop(reached, is_due=is_last or progress.updates % spec.checkpoint_every == 0)

    publish_policy(run, policy, spec)
    return {
        "updates": progress.updates,
        "stop_reason": run.outcome("updates"),
        "prompts": len(prompts),
        "records": tally.as_dict(),
    }


@dataclass(slots=True)
class Progress:
    """Everything besides weights that a resumed run needs."""

    updates: int = 0
    first: Vitals | None = None  # of the first update; None before it

    def facts(self, learner: Learner) -> dict[str, object]:
        return {**asdict(self), "steps": learner.steps_done}

    @classmethod
    def from_facts(cls, facts: Mapping[str, object]) -> "Progress":
        """Raises ModelError when the checkpoint is of another kind of run."""
        try:
            return cls(
                updates=facts["updates"],  # type: ignore[arg-type] # JSON carries no types
                first=Vitals(*facts["first"]),  # type: ignore[misc] # as above
            )
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"The checkpoint is not one of GRPO ({error}); use a new folder."
            ) from error


def advantages_of(rollouts: Sequence[Rollout], spec: GrpoSpec) -> Tensor:
    """The advantage [N] of every response, among those to its prompt."""
    return torch.cat([_compared(one, spec) for one in rollouts])


def _compared(rollout: Rollout, spec: GrpoSpec) -> Tensor:
    ended_K = torch.tensor([sample.finished for sample in rollout.samples])
    scores_K = torch.tensor(rollout.rewards(uncertainty_penalty=spec.uncertainty_penalty))
    rewards_K = scores_K - spec.missing_eos_penalty * (~ended_K)
    return against_the_group(rewards_K, is_scaled=spec.variant == "grpo")


class Lesson(NamedTuple):
    """A part with, for every token, its response's advantage and its weight in the loss."""

    part: Part
    advantage_R: Tensor
    weight_R: Tensor


def compared(
    minibatches: Sequence[Sequence[Part]], advantages_N: Tensor, spec: GrpoSpec
) -> list[list[Lesson]]:
    """The lessons of an update; the weights of a minibatch make its loss a mean over its responses.

    The advantages are of all processes' responses, in the order of `by_process`.
    """
    first = 0
    mine = sum(len(part.pack.last_N) for minibatch in minibatches for part in minibatch)
    own_N = own_part(advantages_N, mine)
    lessons: list[list[Lesson]] = []
    for minibatch in minibatches:
        responses = count_of_all(sum(len(part.pack.last_N) for part in minibatch))
        lessons.append([])
        for part in minibatch:
            lengths_N = part.lengths()
            mine_N = own_N[first : first + len(lengths_N)].to(lengths_N.device)
            first += len(lengths_N)
            is_mean = spec.variant == "grpo"
            tokens_N = lengths_N if is_mean else lengths_N.new_tensor(spec.max_response_tokens)
            weight_N = (1 / (responses * tokens_N.float())).expand(len(lengths_N))
            branch_R = part.pack.branch_R
            advantage_R = mine_N[branch_R] * part.correction(spec.importance_cap)
            lessons[-1].append(Lesson(part, advantage_R, weight_N[branch_R]))
    return lessons


class Learned(NamedTuple):
    """One optimizer step, or the mean of an update's."""

    policy_loss: float
    clip_fraction: float
    approximate_kl: float
    reference_kl: float
    ratio: float
    grad_norm: float = 0.0  # known once the step is taken


def improve(
    actor: Actor,
    minibatches: Sequence[Sequence[Lesson]],
    learner: Learner,
    spec: GrpoSpec,
    *,
    update: int,
) -> list[Learned]:
    """The optimizer steps of one update; fewer where the policy moved beyond target_kl."""
    taken: list[Learned] = []
    for order in minibatch_orders(len(minibatches), spec, update=update):
        for number in order:
            step = _gradients(actor, minibatches[number], learner, spec)
            if spec.target_kl and step.approximate_kl > spec.target_kl:
                learner.drop()
                return taken
            taken.append(step._replace(grad_norm=learner.step()))
    return taken


def _gradients(
    actor: Actor, lessons: Sequence[Lesson], learner: Learner, spec: GrpoSpec
) -> Learned:
    """The gradients of one minibatch, a part at a time; the sums of what the parts tell."""
    count = count_of_all(sum(len(lesson.advantage_R) for lesson in lessons))
    idle = behind(len(lessons), spec)
    told = []
    for part, advantage_R, weight_R in lessons:
        made = grouped_policy_loss(
            actor.outputs(part.pack, part.lower_TD).logprob_R,
            part.old.logprob_R,
            part.reference_R,
            advantage_R,
            weight_R=weight_R,
            clip=(spec.clip_range, spec.clip_range_high),
            beta=spec.kl_coefficient,
            count=count,
        )
        learner.backward(made.loss)
        told.append(made)
    for _ in range(idle):
        learner.backward(actor.nothing())
    return Learned(*torch.stack(total_of(told, width=5)).tolist())


def vitals_of(minibatches: Sequence[Sequence[Part]], signs: Mapping[str, float]) -> Vitals:
    """KL to the reference a response (k1), entropy a token, and length, of the sampled batch."""
    parts = [part for minibatch in minibatches for part in minibatch]
    lengths_N = everyones([part.lengths() for part in parts], dtype=torch.int64)
    apart_R = everyones([part.old.logprob_R - part.reference_R for part in parts])
    return Vitals(
        kl=apart_R.sum().item() / len(lengths_N),
        entropy=everyones([part.old.entropy_R for part in parts]).mean().item(),
        length=lengths_N.float().mean().item(),
        **signs,
    )


def _metrics(
    rollouts: Sequence[Rollout], vitals: Vitals, learned: Sequence[Learned], learner: Learner
) -> dict[str, float]:
    means = [statistics.fmean(column) for column in zip(*learned, strict=True)]
    return {
        **batch_numbers(rollouts),
        "kl": vitals.kl,
        "entropy": vitals.entropy,
        "length": vitals.length,
        **dict(zip(Learned._fields, means, strict=False)),
        "optimizer_steps": len(learned),
        "learning_rate": learner.learning_rate,
    }
