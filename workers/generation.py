"""Generation: a policy is asked, what it says is stored and paired; the playground's questions are answered."""

from pathlib import Path
from typing import Any

from celery import shared_task
from django.db import transaction

from annotation.comparisons.services.run_groups import pair_answered
from annotation.core import storage
from annotation.core.jobs import Job
from annotation.generation import services
from annotation.generation.models import GenerationRun, PlaygroundRun
from annotation.generation.selectors import wanted
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion
from workers.generators.base import Ask, GeneratorFailed, Outcome, SamplingSettings
from workers.generators.choosing import generator_for
from workers.generators.local import GUEST, Line, Text, outcome_of, sample_task, score_task
from workers.running import RunningJob, running


@shared_task(name=Job.GENERATE_CANDIDATES.value)
def generate_candidates(run_id: int) -> None:
    """Ask for what lacks until the run is done, failed or cancelled."""
    with running(GenerationRun.objects, run_id) as job:
        if job is not None:
            generate(job)


@shared_task(name=Job.ANSWER_PLAYGROUND.value)
def answer_playground(run_id: int) -> None:
    """Let each policy answer and the reward model score."""
    with running(PlaygroundRun.objects, run_id) as job:
        if job is not None:
            play(job)


def generate(job: RunningJob) -> None:
    run = GenerationRun.objects.select_related("project", "policy").get(pk=job.pk)
    prompts = list(wanted(run))
    shelf = Shelf(run, prompts, job)
    if prompts:
        with job.folder("generation") as folder:
            generator_for(run.policy, folder).generate(
                [Ask(prompt_id=one.pk, turns=one.turns) for one in prompts],
                sampling_of(run, n=run.per_prompt),
                take=shelf.take,
                check=job.check,
            )
    if prompts and shelf.failed == len(prompts):
        raise GeneratorFailed(f"No prompt could be answered. The last because: {shelf.reason}")


class Shelf:
    """Stores what comes in, a prompt at a time: its candidates, comparisons and outcome together."""

    def __init__(self, run: GenerationRun, prompts: list[Prompt], job: RunningJob) -> None:
        self.failed, self.reason = 0, ""
        self._run, self._job = run, job
        self._prompts = {one.pk: one for one in prompts}
        self._done = run.outcomes.filter(reason="").count()
        self._total = self._done + len(prompts)
        job.progress(self._done, self._total, "prompts")

    def take(self, outcome: Outcome) -> None:
        self._job.check()
        prompt = self._prompts[outcome.prompt_id]
        responses = [
            services.Response(
                text=one.text, is_finished=one.is_finished, token_count=one.token_count
            )
            for one in outcome.samples
        ]
        with transaction.atomic():
            services.store_candidates(
                run=self._run,
                prompt=prompt,
                responses=responses,
                reason=outcome.reason,
                prompt_tokens_cut=outcome.prompt_tokens_cut,
            )
            if self._run.pair_after:
                pair_answered(run=self._run, prompt=prompt)
        if not outcome.samples:
            self.failed, self.reason = self.failed + 1, outcome.reason
        self._done += 1
        self._job.progress(self._done, self._total, "prompts")


def sampling_of(run: GenerationRun | PlaygroundRun, *, n: int) -> SamplingSettings:
    return SamplingSettings(
        n=n,
        temperature=run.temperature,
        top_p=run.top_p,
        max_tokens=run.max_tokens,
        seed=run.seed,
    )


def play(job: RunningJob) -> None:
    """Servers are asked first; then one child asks the local policies and scores all answers."""
    run = PlaygroundRun.objects.select_related("reward_model").get(pk=job.pk)
    versions = ModelVersion.objects.in_bulk(run.policy_ids)
    policies = [versions[pk] for pk in run.policy_ids]
    stage = Stage(run, job)
    local = [one for one in policies if one.backend == ModelVersion.Backend.LOCAL]
    with job.folder("playground") as folder:
        for policy in policies:
            if policy.backend == ModelVersion.Backend.HTTP:
                stage.ask_server(policy, folder)
        if tasks := stage.tasks(local):
            GUEST.ask(tasks, folder=folder, hear=stage.hear, check=job.check)


class Stage:
    """Where the policies of a playground run answer, and what was heard of them."""

    def __init__(self, run: PlaygroundRun, job: RunningJob) -> None:
        self._run, self._job = run, job
        self._heard = 0
        self._texts: dict[str, Text] = {}

    def ask_server(self, policy: ModelVersion, folder: Path) -> None:
        """Ask one policy on a server; its failure is its answer."""
        ask = Ask(prompt_id=policy.pk, turns=self._run.turns)
        try:
            generator_for(policy, folder).generate(
                [ask], sampling_of(self._run, n=1), take=self._take, check=self._job.check
            )
        except GeneratorFailed as error:
            self._take(Outcome(prompt_id=policy.pk, reason=str(error)))

    def tasks(self, local: list[ModelVersion]) -> list[dict[str, Any]]:  # Any: JSON
        """What the child is to do: ask each local policy, then score."""
        tasks = [
            sample_task(
                str(policy.pk),
                storage.local(policy.location),
                [Ask(prompt_id=policy.pk, turns=self._run.turns)],
                sampling_of(self._run, n=1),
            )
            for policy in local
        ]
        if self._run.reward_model is not None:
            reward = storage.local(self._run.reward_model.location)
            tasks.append(score_task(reward, self._run.turns, self._texts))
        return tasks

    def hear(self, line: Line) -> None:
        """Take in a line of the child."""
        if "prompt" in line:
            self._take(outcome_of(line))
        elif "scores" in line:
            services.store_scores(
                run_id=self._run.pk,
                scores=line["scores"],
                criterion_scores=line["criteria"],
                truncated=line["truncated"],
            )
            self._step()
        elif "failed" in line and line["key"] == "scores":
            services.store_scores(run_id=self._run.pk, scores={}, reason=line["failed"])
            self._step()
        elif "failed" in line:
            self._take(Outcome(prompt_id=int(line["key"]), reason=line["failed"]))

    def _take(self, outcome: Outcome) -> None:
        first = outcome.samples[0] if outcome.samples else None
        services.store_answer(
            run_id=self._run.pk,
            policy_id=outcome.prompt_id,
            text=first.text if first else None,
            is_finished=first.is_finished if first else False,
            reason=outcome.reason,
            prompt_tokens_cut=outcome.prompt_tokens_cut,
        )
        if first:
            self._texts[str(outcome.prompt_id)] = first.text, first.is_finished
        self._step()

    def _step(self) -> None:
        self._heard += 1
        total = len(self._run.policy_ids) + (self._run.reward_model is not None)
        self._job.progress(self._heard, total, "models")
