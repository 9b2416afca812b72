"""Scores on request: the web asks by a row, a worker answers in it, the web waits a while for that.

A request that is not answered in time stays queued and can be asked for later. Where too many wait, new ones are
refused, so that a worker that is away is noticed at once.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.core.errors import DomainError, InvalidInput, NotFound
from annotation.core.jobs import JobModel, ring
from annotation.projects.models import Membership, Role
from annotation.registry.models import ModelVersion, ScoringRequest

SCORERS = (Role.ENGINEER, Role.ADMIN)
MOST_CHATS, MOST_TURNS = 256, 200
LONGEST_CHAT = 200_000  # characters
MOST_WAITING = 200  # requests of a project
LONGEST_WAIT = 25.0  # seconds that an answer may take before it is told where to look
LOOK_FIRST, LOOK_LAST = 0.05, 0.5  # seconds between two looks
KEPT_DAYS = 1  # requests and their scores
MOST_TOGETHER = 64  # requests in one go of a worker

_waiters = threading.BoundedSemaphore(settings.CONCORD_SCORING_WAITERS)


class TooManyWait(DomainError):  # noqa: N818 - reads as a sentence where it is raised
    """The queue is full: no worker answers, or too few."""

    status = 503
    code = "busy"


class ScoringFailed(DomainError):  # noqa: N818
    """The worker could not score; the message is its own."""

    status = 503
    code = "scoring_failed"


def reward_model_for(user: User, pk: int) -> ModelVersion:
    """The reward model, where the person may score in its project. NotFound for everybody else, as for no model."""
    mine = Membership.objects.filter(user=user, role__in=SCORERS).values("project_id")
    rows = ModelVersion.objects.filter(pk=pk, project_id__in=mine).select_related("project")
    version = rows.first()
    if version is None:
        raise NotFound(f"There is no model {pk} that you may ask for scores.")
    return version


@transaction.atomic
def request_scores(
    *, version: ModelVersion, chats: Sequence[Sequence[Mapping[str, str]]], actor: User
) -> ScoringRequest:
    """Queue the chats for a worker. Raises TooManyWait where the queue is full."""
    if version.kind != ModelVersion.Kind.REWARD:
        raise InvalidInput(f"{version} is a {version.kind} model; only reward models score.")
    _check(chats)
    waiting = ScoringRequest.objects.filter(
        project=version.project, status=JobModel.Status.QUEUED
    ).count()
    if waiting >= MOST_WAITING:
        raise TooManyWait(
            f"{waiting} requests for scores wait already. See that a live worker runs, then try again."
        )
    request = ScoringRequest.objects.create(
        project=version.project,
        version=version,
        chats=[[dict(turn) for turn in chat] for chat in chats],
        progress_total=len(chats),
        progress_unit="chats",
        created_by=actor,
    )
    record("scores.requested", request, actor=actor, model=version.pk, chats=len(chats))
    ring(request.job, request.pk)
    return request


def _check(chats: Sequence[Sequence[Mapping[str, str]]]) -> None:
    if not 1 <= len(chats) <= MOST_CHATS:
        raise InvalidInput.at("chats", f"Send 1 to {MOST_CHATS} chats; {len(chats)} were sent.")
    for number, chat in enumerate(chats, start=1):
        size = sum(len(turn["content"]) for turn in chat)
        if size > LONGEST_CHAT or len(chat) > MOST_TURNS:
            raise InvalidInput.at(
                "chats",
                f"Chat {number} has {len(chat)} turns and {size} characters; at most {MOST_TURNS} "
                f"and {LONGEST_CHAT}.",
            )
        roles = [turn["role"] for turn in chat]
        if roles[-1:] != ["assistant"] or "user" not in roles:
            raise InvalidInput.at(
                "chats",
                f"Chat {number} must hold a user's turn and end with the assistant's, which is scored; "
                f"its roles are {', '.join(roles[:9]) or 'none'}.",
            )
        if any("\x00" in turn["content"] for turn in chat):
            raise InvalidInput.at("chats", f"Chat {number} holds NUL, which is no text.")


def forget_old_requests() -> None:
    """Requests are answers on the way, not records: they go after a day, with the chats and the scores."""
    ScoringRequest.objects.filter(created_at__lt=_kept_since()).delete()


def _kept_since() -> datetime:
    return timezone.now() - timedelta(days=KEPT_DAYS)


def await_scores(request: ScoringRequest, *, seconds: float) -> ScoringRequest:
    """The request as it stands once it is over, or after ``seconds``; at once where too many threads wait already.

    Raises ScoringFailed with the worker's sentence.
    """
    if seconds > 0 and _waiters.acquire(blocking=False):
        try:
            _wait(request, min(seconds, LONGEST_WAIT))
        finally:
            _waiters.release()
    if request.status == JobModel.Status.FAILED:
        raise ScoringFailed(f"These chats were not scored: {request.error}")
    return request


def _wait(request: ScoringRequest, seconds: float) -> None:
    deadline, pause = time.monotonic() + seconds, LOOK_FIRST
    while not request.is_over and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, LOOK_LAST)
        request.refresh_from_db()


def request_for(version: ModelVersion, pk: int) -> ScoringRequest:
    """One request for scores of this model, of the last day."""
    kept = version.scoring_requests.filter(created_at__gte=_kept_since())
    row: ScoringRequest | None = kept.filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no request {pk} for scores; they are kept for a day.")
    return row


def claim_together(
    first: ScoringRequest, *, owner: str, lease_seconds: int
) -> list[ScoringRequest]:
    """The request, and others for the same model that wait: each claimed for this worker."""
    waiting = ScoringRequest.objects.filter(
        version_id=first.version_id, status=JobModel.Status.QUEUED
    ).order_by("pk")[: MOST_TOGETHER - 1]
    jobs = ScoringRequest.objects
    others = [
        one for one in waiting if jobs.claim(one.pk, owner=owner, lease_seconds=lease_seconds)
    ]
    return [first, *others]


def store_scores(
    *,
    request: ScoringRequest,
    scores: Iterable[tuple[float, float, Mapping[str, float], bool]],
    temperature: float,
) -> None:
    """Keep raw scores with the deviation of the heads, what each criterion's says, and what was not read whole.

    Calibrated ones differ by log-odds.
    """
    rows = [
        {
            "raw": raw,
            "calibrated": raw / temperature,
            "deviation": deviation,
            "criteria": dict(criteria),
            "is_truncated": is_truncated,
        }
        for raw, deviation, criteria, is_truncated in scores
    ]
    ScoringRequest.objects.filter(pk=request.pk).update(
        scores=rows, temperature=temperature, progress_done=len(rows)
    )
