"""What a policy answers while it learns from records: a few held-out prompts, asked again at every checkpoint."""

from training.data.records import groups_of
from training.models.load import LoadedModel
from training.rollout.sampler import LocalSampler
from training.runtime.distributed import world
from training.runtime.run import Run
from training.spec.base import RunSpec
from training.spec.events import EventKind

PROMPTS_SHOWN = 2
LONGEST_TOKENS = 64  # of an answer: to be read beside those of other steps, at little cost
TEMPERATURE = 0.7


class Excerpts:
    """The same prompts with the same random streams each time, so that a difference is the policy's.

    Prompts of the test or validation split, of the train split where both are empty. Of several processes none
    samples: the others would wait. Global random numbers are not drawn from.
    """

    def __init__(self, run: Run, policy: LoadedModel, spec: RunSpec) -> None:
        self._run, self._seed = run, spec.seed
        self._sampler = LocalSampler(
            policy.model, policy.tokenizer, max_prompt_tokens=spec.max_prompt_tokens
        )
        self._longest = min(spec.max_response_tokens, LONGEST_TOKENS)
        held_out = groups_of(spec.data, "test", "validation", at_most=PROMPTS_SHOWN)
        self._prompts = held_out or groups_of(spec.data, "train", at_most=PROMPTS_SHOWN)

    def tell(self, *, step: int) -> None:
        """One sample event a prompt."""
        if world() > 1:
            return
        samples = self._sampler.sample(
            [one.prompt for one in self._prompts],
            n=1,
            temperature=TEMPERATURE,
            top_p=1.0,
            max_tokens=self._longest,
            seed=self._seed,
        )
        for group, (sample,) in zip(self._prompts, samples, strict=True):
            told = {
                "prompt": group.prompt[-1].content,
                "response": sample.text,
                "cut_short": not sample.finished,
            }
            self._run.reporter.say(EventKind.SAMPLE, told, step=step)
