"""What turns losses on rollouts into steps: an optimizer for the policy, one for a value head."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from training.runtime.checkpoint import State
from training.runtime.optimize import Optimizer
from training.spec.rollouts import PpoSpec, RolloutSpec


class Learner:
    """The optimizers of the policy's weights and of the value head (if there is one), stepped together."""

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        spec: RolloutSpec,
        *,
        value_head: nn.Module | None = None,
    ) -> None:
        steps = spec.updates * spec.update_epochs * spec.minibatches
        self._policy = Optimizer(weights, spec, steps=steps)
        self._value: Optimizer | None = None
        if value_head is not None and isinstance(spec, PpoSpec):
            head_spec = replace(spec, learning_rate=spec.value_learning_rate)
            self._value = Optimizer(dict(value_head.named_parameters()), head_spec, steps=steps)

    @property
    def steps_done(self) -> int:
        return self._policy.steps_done

    @property
    def learning_rate(self) -> float:
        return self._policy.learning_rate

    def backward(self, loss: Tensor) -> None:
        self._policy.backward(loss)
        if self._value:
            self._value.collect()

    def step(self) -> float:
        """Apply the gradients of both; the norm of the policy's."""
        if self._value:
            self._value.step()
        return self._policy.step().item()

    def drop(self) -> None:
        """Forget the gradients: the step is not taken."""
        self._policy.drop()
        if self._value:
            self._value.drop()

    def tensors(self) -> dict[str, Tensor]:
        value = self._value.tensors() if self._value else {}
        return self._policy.tensors() | {f"value.{name}": one for name, one in value.items()}

    def restore(self, state: State) -> None:
        steps = int(state.facts.get("steps", 0))
        self._policy.restore(state.tensors, steps_done=steps)
        if self._value:
            head = {
                name.removeprefix("value."): one
                for name, one in state.tensors.items()
                if name.startswith("value.")
            }
            self._value.restore(head, steps_done=steps)
