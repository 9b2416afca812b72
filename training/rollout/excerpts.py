"""What a policy answers while it learns from records: a few held-out prompts, asked again at every checkpoint."""

from training.data.chat import encode_prompt
from training.data.records import groups_of
from training.models.load import LoadedModel
from training.rollout.sampler import Knobs, LocalSampler
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
        held_out = groups_of(spec.data, "test", "validation", at_most=PROMPTS_SHOWN)
        self._prompts = held_out or groups_of(spec.data, "train", at_most=PROMPTS_SHOWN)
        limits = self._sampler.limits(min(spec.max_response_tokens, LONGEST_TOKENS))
        self._longest = limits.response
        self._read = [
            encode_prompt(policy.tokenizer, one.prompt, max_tokens=limits.prompt)
            for one in self._prompts
        ]

    def tell(self, *, step: int) -> None:
        """One sample event a prompt."""
        if world() > 1:
            return
        knobs = Knobs(1, TEMPERATURE, 1.0, self._longest, self._seed)
        samples = self._sampler.sample_tokens([one.ids for one in self._read], knobs)
        for group, read, (sample,) in zip(self._prompts, self._read, samples, strict=True):
            told = {
                "prompt": group.prompt[-1].content,
                "response": sample.text,
                "cut_short": not sample.finished,
            }
            told |= {"prompt_tokens_cut": read.cut} if read.cut else {}
            self._run.reporter.say(EventKind.SAMPLE, told, step=step)
