"""What turns the losses of PPO into steps: one optimizer for the policy, one for the value head."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from training.runtime.checkpoint import State
from training.runtime.optimize import Optimizer
from training.spec.runs import PpoSpec


class Learner:
    """The optimizers of the policy's weights and of the value head, stepped together."""

    def __init__(
        self, weights: Mapping[str, nn.Parameter], value_head: nn.Module, spec: PpoSpec
    ) -> None:
        steps = spec.updates * spec.ppo_epochs * spec.minibatches
        head_spec = replace(spec, learning_rate=spec.value_learning_rate)
        self._policy = Optimizer(weights, spec, steps=steps)
        self._value = Optimizer(dict(value_head.named_parameters()), head_spec, steps=steps)

    @property
    def steps_done(self) -> int:
        return self._policy.steps_done

    @property
    def learning_rate(self) -> float:
        return self._policy.learning_rate

    def backward(self, loss: Tensor) -> None:
        self._policy.backward(loss)
        self._value.collect()

    def step(self) -> float:
        """Apply the gradients of both; the norm of the policy's."""
        self._value.step()
        return self._policy.step().item()

    def drop(self) -> None:
        """Forget the gradients: the step is not taken."""
        self._policy.drop()
        self._value.drop()

    def tensors(self) -> dict[str, Tensor]:
        head = {f"value.{name}": one for name, one in self._value.tensors().items()}
        return self._policy.tensors() | head

    def restore(self, state: State) -> None:
        steps = int(state.facts.get("steps", 0))
        self._policy.restore(state.tensors, steps_done=steps)
        head = {
            name.removeprefix("value."): one
            for name, one in state.tensors.items()
            if name.startswith("value.")
        }
        self._value.restore(head, steps_done=steps)
