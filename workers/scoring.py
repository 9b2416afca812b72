"""Scores on request: what waits for one reward model is scored together, by one load of it."""

from itertools import islice

from celery import shared_task
from django.conf import settings

from annotation.core import storage
from annotation.core.jobs import Job
from annotation.registry import scoring
from annotation.registry.models import ScoringRequest
from workers.generators.base import GeneratorFailed
from workers.generators.local import GUEST, Line, chats_task
from workers.running import RunningJob, running, sentence_for


@shared_task(name=Job.SCORE_CHATS.value)
def score_chats(request_id: int) -> None:
    """Score the request, and what waits for the same model beside it."""
    with running(ScoringRequest.objects, request_id) as job:
        if job is not None:
            score(job)


def score(job: RunningJob) -> None:
    """Where the model fails, each request is told why; where it refuses a chat, the request that sent it."""
    first = ScoringRequest.objects.select_related("version").get(pk=job.pk)
    requests = scoring.claim_together(
        first, owner=job.owner, lease_seconds=settings.CONCORD_LEASE_SECONDS
    )
    others = [one.pk for one in requests[1:]]
    try:
        with job.keeping(others):
            refused = ask(requests, job)
    except GeneratorFailed as error:
        finish(others, job, ScoringRequest.Status.FAILED, sentence_for(error))
        raise
    except BaseException:
        for pk in others:
            ScoringRequest.objects.release(pk, owner=job.owner)
        raise
    own = refused.pop(job.pk, "")
    for pk, reason in refused.items():
        finish([pk], job, ScoringRequest.Status.FAILED, reason)
    finish([pk for pk in others if pk not in refused], job, ScoringRequest.Status.DONE)
    if own:
        raise GeneratorFailed(own)


def ask(requests: list[ScoringRequest], job: RunningJob) -> dict[int, str]:
    """Store the scores of each; the requests that have none, with the reason."""
    heard: list[Line] = []
    chats = [chat for one in requests for chat in one.chats]
    task = chats_task(storage.local(requests[0].version.location), chats)
    with job.folder("scoring") as folder:
        GUEST.ask([task], folder=folder, hear=heard.append, check=job.check)
    answer = next((line for line in heard if "chat_scores" in line), None)
    if answer is None:
        reason = next((line["failed"] for line in heard if "failed" in line), "")
        raise GeneratorFailed(reason or "The model ended without scores; see the worker's log.")
    told = zip(answer["chat_scores"], answer["reasons"], strict=True)
    refused = dict[int, str]()
    for one in requests:
        own = list(islice(told, len(one.chats)))
        if reason := refusal_of([reason for _, reason in own]):
            refused[one.pk] = reason
        else:
            scores = [score for score, _ in own]
            scoring.store_scores(request=one, scores=scores, temperature=answer["temperature"])
    return refused


def refusal_of(reasons: list[str]) -> str:
    """Which chat of a request the model refused first, and why; empty where it read them all."""
    said = ((number, reason) for number, reason in enumerate(reasons, start=1) if reason)
    return next((f"Chat {number} of {len(reasons)}: {reason}" for number, reason in said), "")


def finish(keys: list[int], job: RunningJob, status: str, error: str = "") -> None:
    for pk in keys:
        ScoringRequest.objects.finish(pk, owner=job.owner, status=status, error=error)
