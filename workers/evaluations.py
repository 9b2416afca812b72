"""The answers of an evaluation are scored by a reward model on a gpu worker."""

from celery import shared_task

from annotation.core import storage
from annotation.core.jobs import Job
from annotation.evaluations.models import RewardComparison
from annotation.evaluations.selectors import answers_of
from annotation.evaluations.services import store_scores
from workers.generators.base import GeneratorFailed
from workers.generators.local import Line, run_child, score_many_task
from workers.running import RunningJob, running


@shared_task(name=Job.SCORE_EVALUATION.value)
def score_evaluation(pk: int) -> None:
    """Score what is not scored yet."""
    with running(RewardComparison.objects, pk) as job:
        if job is not None:
            score(job)


def score(job: RunningJob) -> None:
    rows = RewardComparison.objects.select_related("evaluation", "reward_model")
    row = rows.get(pk=job.pk)
    done, refused = dict(row.scores), dict[str, str]()
    asked = [
        {
            "turns": pair[0].prompt.turns,
            "texts": {str(one.pk): (one.text, one.is_finished) for one in pair},
        }
        for pair in answers_of(row.evaluation).values()
        if any(str(one.pk) not in done for one in pair)
    ]
    total = len({*done, *(key for one in asked for key in one["texts"])})

    def hear(line: Line) -> None:
        if "failed" in line:
            raise GeneratorFailed(line["failed"])
        if "scores" in line:
            told, reasons = line["scores"], line["reasons"]
            store_scores(pk=job.pk, scores=told, truncated=line["truncated"], refused=reasons)
            done.update(told)
            refused.update(reasons)
            job.progress(len(done) + len(refused), total, "answers")

    if asked:
        tasks = [score_many_task(storage.local(row.reward_model.location), asked)]
        with job.folder("evaluations") as folder:
            run_child(tasks, folder=folder, hear=hear, check=job.check)
    if refused and not done:
        last = list(refused.values())[-1]
        raise GeneratorFailed(f"No answer could be scored. The last because: {last}")
