"""Machine judges: comparisons are heard in both orders; candidates are criticized and written anew."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from celery import shared_task

from annotation.comparisons.models import Comparison
from annotation.comparisons.verdicts import has_tie
from annotation.core.jobs import Job
from annotation.generation.models import Candidate
from annotation.judges.models import Judge, JudgeRun, RevisionRun
from annotation.judges.selectors import unrevised, wanted
from annotation.judges.services.hearing import store_hearing
from annotation.judges.services.revising import store_revision
from annotation.judges.verdicts import Answer, Order, orders_of
from training.rlaif.constitution import (
    Principle,
    Question,
    comparison_prompt,
    critique_prompt,
    revision_prompt,
)
from training.rlaif.verdict import read_reasoned, read_word
from training.spec.records import Turn
from workers.generators.base import Ask, GeneratorFailed, Outcome, SamplingSettings
from workers.generators.choosing import generator_for
from workers.running import RunningJob, running

OF_A_RUN = ("judge__model", "judge__constitution", "judge__labeler")
AT_ONCE = 1_000  # comparisons or candidates between two looks at what is wanted


@shared_task(name=Job.JUDGE_COMPARISONS.value)
def judge_comparisons(run_id: int) -> None:
    """Hear what was not heard until the run is done, failed or cancelled."""
    with running(JudgeRun.objects, run_id) as job:
        if job is not None:
            judge(job)


@shared_task(name=Job.REVISE_CANDIDATES.value)
def revise_candidates(run_id: int) -> None:
    """Revise what was not revised until the run is done, failed or cancelled."""
    with running(RevisionRun.objects, run_id) as job:
        if job is not None:
            revise(job)


@dataclass(slots=True)
class Tally:
    """How far a run is, and whether anything was answered at all."""

    job: RunningJob
    done: int
    total: int
    unit: str
    failed: int = 0
    asked: int = 0
    reason: str = ""

    def step(self, reason: str) -> None:
        self.asked, self.done = self.asked + 1, self.done + 1
        if reason:
            self.failed, self.reason = self.failed + 1, reason
        self.job.progress(self.done, self.total, self.unit)

    def refuse_silence(self) -> None:
        """A model that answered nothing has failed the run, not its parts."""
        if self.asked and self.failed == self.asked:
            raise GeneratorFailed(f"Nothing could be answered. The last because: {self.reason}")


def judge(job: RunningJob) -> None:
    run = JudgeRun.objects.select_related(*OF_A_RUN).get(pk=job.pk)
    left = list(wanted(run).values_list("pk", flat=True))
    done = run.hearings.exclude(outcome="failed").count()
    tally = Tally(job, done=done, total=done + len(left), unit="comparisons")
    keys = iter(left)
    while some := list(islice(keys, AT_ONCE)):
        rows = Comparison.objects.filter(pk__in=some).select_related("prompt", "project")
        bench = Bench(run, list(rows.order_by("pk")), tally)
        bench.hear()
    tally.refuse_silence()


class Bench:
    """Asks about some comparisons, and keeps each once all that was asked about it is answered."""

    def __init__(self, run: JudgeRun, comparisons: Sequence[Comparison], tally: Tally) -> None:
        self._run, self._tally = run, tally
        self._comparisons = comparisons
        keys = [pk for one in comparisons for pk in one.candidate_ids]
        self._texts = dict(Candidate.objects.filter(pk__in=keys).values_list("pk", "text"))
        self._places = [
            (comparison, order)
            for comparison in comparisons
            for order in orders_of(comparison.candidate_ids)
        ]
        self._answers: dict[int, list[Answer]] = defaultdict(list)
        self._missing = {one.pk: len(orders_of(one.candidate_ids)) for one in comparisons}
        self._reasons: dict[int, str] = {}

    def hear(self) -> None:
        """Ask everything in one go; the generator answers in any order."""
        judge = self._run.judge
        asks = [
            Ask(prompt_id=place, turns=self._question(comparison, order))
            for place, (comparison, order) in enumerate(self._places)
        ]
        sampling = SamplingSettings(
            n=judge.repeats,
            temperature=judge.temperature,
            top_p=1.0,
            max_tokens=judge.max_tokens,
            seed=judge.seed,
            whole_prompts=True,
        )
        with self._tally.job.folder("judging") as folder:
            generator = generator_for(judge.model, folder)
            generator.generate(asks, sampling, take=self._take, check=self._tally.job.check)

    def _question(self, comparison: Comparison, order: Order) -> list[dict[str, str]]:
        first, second = (self._texts[pk] for pk in order)
        turns = turns_of(comparison.prompt.turns)
        asked = comparison_prompt(
            principles_of(self._run.judge),
            Question(turns=turns, first=first, second=second),
            has_tie=has_tie(comparison.project.answer_scale),
            with_reasons=self._run.judge.style == Judge.Style.REASONS,
        )
        return as_rows(asked)

    def _take(self, outcome: Outcome) -> None:
        self._tally.job.check()
        comparison, order = self._places[outcome.prompt_id]
        if outcome.reason:
            self._reasons[comparison.pk] = outcome.reason
        self._answers[comparison.pk] += self._read(comparison, order, outcome)
        self._missing[comparison.pk] -= 1
        if self._missing[comparison.pk]:
            return
        reason = self._reasons.get(comparison.pk, "")
        answers = sorted(
            self._answers.pop(comparison.pk), key=lambda one: (one.first, one.second, one.repeat)
        )
        store_hearing(run=self._run, comparison=comparison, answers=answers, reason=reason)
        self._tally.step(reason)

    def _read(self, comparison: Comparison, order: Order, outcome: Outcome) -> list[Answer]:
        read = read_reasoned if self._run.judge.style == Judge.Style.REASONS else read_word
        may_tie = has_tie(comparison.project.answer_scale)
        return [
            Answer(
                first=order[0],
                second=order[1],
                repeat=repeat,
                verdict=read(one.text, has_tie=may_tie),
                said=one.text,
            )
            for repeat, one in enumerate(outcome.samples)
        ]


def revise(job: RunningJob) -> None:
    run = RevisionRun.objects.select_related(*OF_A_RUN).get(pk=job.pk)
    left = list(unrevised(run).values_list("pk", flat=True))
    done = run.revisions.exclude(outcome="failed").count()
    tally = Tally(job, done=done, total=done + len(left), unit="candidates")
    keys = iter(left)
    while some := list(islice(keys, AT_ONCE)):
        rows = Candidate.objects.filter(pk__in=some).select_related("prompt", "project")
        Desk(run, {one.pk: one for one in rows}, tally).revise()
    tally.refuse_silence()


class Desk:
    """Criticizes some candidates, then asks for each to be written anew."""

    def __init__(self, run: RevisionRun, candidates: dict[int, Candidate], tally: Tally) -> None:
        self._run, self._candidates, self._tally = run, candidates, tally
        self._principles = principles_of(run.judge)
        self._critiques: dict[int, str] = {}

    def revise(self) -> None:
        """Two rounds of questions; who got no critique is not asked again."""
        self._ask(
            {
                pk: critique_prompt(self._principles, turns_of(one.prompt.turns), one.text)
                for pk, one in self._candidates.items()
            },
            self._take_critique,
        )
        self._ask(
            {
                pk: revision_prompt(
                    self._principles,
                    turns_of(self._candidates[pk].prompt.turns),
                    self._candidates[pk].text,
                    critique,
                )
                for pk, critique in self._critiques.items()
            },
            self._take_revision,
        )

    def _ask(self, prompts: Mapping[int, Sequence[Turn]], take: Callable[[Outcome], None]) -> None:
        run = self._run
        if not prompts:
            return
        sampling = SamplingSettings(
            n=1,
            temperature=run.temperature,
            top_p=1.0,
            max_tokens=run.max_tokens,
            seed=run.judge.seed,
            whole_prompts=True,
        )
        asks = [Ask(prompt_id=pk, turns=as_rows(asked)) for pk, asked in prompts.items()]
        with self._tally.job.folder("revising") as folder:
            generator = generator_for(run.judge.model, folder)
            generator.generate(asks, sampling, take=take, check=self._tally.job.check)

    def _take_critique(self, outcome: Outcome) -> None:
        self._tally.job.check()
        if outcome.samples:
            self._critiques[outcome.prompt_id] = outcome.samples[0].text
        else:
            self._keep(outcome.prompt_id, reason=outcome.reason)

    def _take_revision(self, outcome: Outcome) -> None:
        self._tally.job.check()
        sample = outcome.samples[0] if outcome.samples else None
        reason = outcome.reason
        if sample is not None and not sample.is_finished:
            reason = "The text was cut at the token limit; raise max_tokens."
        self._keep(outcome.prompt_id, text=sample.text if sample else "", reason=reason)

    def _keep(self, pk: int, *, text: str = "", reason: str = "") -> None:
        store_revision(
            run=self._run,
            candidate=self._candidates[pk],
            critique=self._critiques.get(pk, ""),
            text=text,
            reason=reason,
        )
        self._tally.step(reason)


def principles_of(judge: Judge) -> list[Principle]:
    """The principles of the version that the judge was given."""
    rows = judge.constitution.principles
    return [Principle(title=one["title"], text=one["text"]) for one in rows]


def turns_of(rows: Sequence[Mapping[str, str]]) -> list[Turn]:
    return [Turn(role=one["role"], content=one["content"]) for one in rows]


def as_rows(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": one.role, "content": one.content} for one in turns]
