"""PPO-ptx (Ouyang et al. 2022, eq. 2): in every step the policy also imitates what people wrote or chose.

The paper takes the pretraining data, which nobody has here: the demonstrations and best candidates
of the train split stand for the language that is not to be forgotten.
"""

from torch import Tensor

from training.data.chat import reading_limits
from training.data.demonstrations import demonstration_groups
from training.data.packing import pack_groups, rows_under_budget
from training.data.records import groups_of, refuse_too_few
from training.data.remembered import NOBODY
from training.data.stream import endless_batch
from training.data.tokens import Tally
from training.rollout.actor_critic import ActorCritic
from training.rollout.learner import Learner
from training.runtime.distributed import my_share, total_of
from training.runtime.sharding import behind
from training.spec.rollouts import PpoSpec


class Imitation:
    """Responses to imitate, as many prompts a step as a minibatch has, in an order of their own."""

    def __init__(self, actor: ActorCritic, spec: PpoSpec, tally: Tally) -> None:
        """Raises DataError where the train split has too few responses; what is cut is counted in ``tally``."""
        self._actor, self._spec = actor, spec
        self._rows = demonstration_groups(
            actor.policy.tokenizer,
            groups_of(spec.data, "train", at_most=spec.max_groups),
            limits=reading_limits(actor.policy, spec),
            includes_chosen=True,
            tally=tally,
        )
        refuse_too_few(
            sum(len(row.responses) for row in self._rows),
            what="responses to imitate (ptx_weight)",
            advice="Write demonstrations, judge more, or set ptx_weight to 0.",
        )

    def backward(self, learner: Learner) -> float:
        """Add the gradients of the next step's responses; their mean loss a token, in nats."""
        spec = self._spec
        places = endless_batch(
            learner.steps_done,
            rows=len(self._rows),
            size=max(1, spec.groups_per_step // spec.minibatches),
            seed=spec.seed,
        )
        batch = [self._rows[at] for at in places]
        tokens = sum(len(response) for group in batch for response in group.responses)
        rows = list(rows_under_budget(my_share(batch), self._spec.tokens_per_forward))
        idle = behind(len(rows), self._spec)
        losses: list[list[Tensor]] = []
        for row in rows:
            pack = pack_groups(row).to(self._actor.device)
            loss = -self._actor.likelihoods(pack).sum() / tokens
            learner.backward(self._spec.ptx_weight * loss)
            losses.append([loss])
        for _ in range(idle):
            pack = pack_groups([NOBODY]).to(self._actor.device)
            learner.backward(0.0 * self._actor.likelihoods(pack).sum())
        return total_of(losses, width=1)[0].item()
