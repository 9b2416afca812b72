"""The audit trail as people read it: narrowed by who, what and when, with the way to undo an act where there is one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.apps import apps
from django.db.models import Max, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.audit.models import AuditEvent
from annotation.core.errors import InvalidInput
from annotation.projects.models import Project
from annotation.projects.selectors import audit_of

VERB_MAX = 60
ANSWERS = (  # hundreds an hour
    "judgment.submitted",
    "judgment.undone",
    "assignment.skipped",
    "assignment.unskipped",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailQuery:
    """Filters of the trail; what is left out lets everything in. Days are whole, in the server's zone."""

    verb: str = ""
    actor: int = 0
    since: date | None = None
    until: date | None = None
    is_without_answers: bool = False  # of labelers, among which the other acts are hard to find

    @classmethod
    def from_query(cls, asked: Mapping[str, str]) -> "TrailQuery":
        """The checked filters of an address; raises InvalidInput naming a wrong one."""
        actor = asked.get("actor") or "0"
        if not (actor.isascii() and actor.isdecimal() and len(actor) < 19):
            raise InvalidInput.at("actor", f"actor={actor[:60]!r} is not the number of a user.")
        return cls(
            verb=asked.get("verb", "").replace("\0", "")[:VERB_MAX],
            actor=int(actor),
            since=_day(asked, "since"),
            until=_day(asked, "until"),
            is_without_answers=asked.get("answers") == "no",
        )

    def as_query(self) -> str:
        """The filters for the address of another page."""
        given = {
            "verb": self.verb,
            "actor": self.actor or "",
            "since": self.since or "",
            "until": self.until or "",
            "answers": "no" if self.is_without_answers else "",
        }
        return urlencode({name: value for name, value in given.items() if value})

    def events_in(self, project: Project) -> QuerySet[AuditEvent]:
        """What was done and fits, the newest first."""
        rows = audit_of(project)
        rows = rows.filter(verb__startswith=self.verb) if self.verb else rows
        rows = rows.exclude(verb__in=ANSWERS) if self.is_without_answers else rows
        rows = rows.filter(actor_id=self.actor) if self.actor else rows
        rows = rows.filter(at__gte=_morning(self.since)) if self.since else rows
        return rows.filter(at__lt=_morning(self.until) + timedelta(days=1)) if self.until else rows


def _day(asked: Mapping[str, str], name: str) -> date | None:
    text = asked.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput.at(
            name, f"{name}={text[:60]!r} is not a day such as 2026-01-31."
        ) from error


def _morning(day: date) -> datetime:
    if not date(1970, 1, 1) <= day <= date(9000, 1, 1):
        raise InvalidInput(f"{day} is outside of the years 1970 to 9000.")
    return timezone.make_aware(datetime.combine(day, time.min))


def actors_of(project: Project) -> QuerySet[User]:
    """Who is in the trail of a project, by name: its members and who was one."""
    acted = AuditEvent.objects.filter(project_id=project.pk).exclude(actor=None)
    return User.objects.filter(pk__in=acted.values("actor")).order_by("username")


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How an act is undone: a form to post, or the page on which it is done."""

    url: str
    is_post: bool


# Routes by name, since the apps that own them lie above this one: (route, whether it is a post that undoes at once).
UNDO_ROUTES = {
    "labeler.message": ("quality-act-undo", True),
    "labeler.pause": ("quality-act-undo", True),
    "labeler.resume": ("quality-act-undo", True),
    "labeler.retrain": ("quality-act-undo", True),
    "labeler.qualify": ("quality-act-undo", True),
    "comparison.adjudicated": ("quality-adjudication-undo", True),
    "dispute.upheld": ("quality-dispute-reopen", True),
    "dispute.declined": ("quality-dispute-reopen", True),
    "flag.resolved": ("comparisons-flag-reopen", True),
    "group.removed": ("quality-group-restore", True),
    "guideline.requeued": ("comparisons-requeue-undo", True),
    "demonstration.approved": ("demonstrations-review", False),
    "demonstration.returned": ("demonstrations-review", False),
    "demonstration.review_reversed": ("demonstrations-review", False),
    "webhook.added": ("webhooks-detail", False),
    "webhook.paused": ("webhooks-detail", False),
    "webhook.resumed": ("webhooks-detail", False),
    "webhook.rotated": ("webhooks-detail", False),
    "generation.queued": ("generation-run", False),
    "generation.cancelled": ("generation-run", False),
    "generation.resumed": ("generation-run", False),
    "batch.changed": ("comparisons-batch", False),
    "batch.made": ("comparisons-batch", False),
    "batch.state": ("comparisons-batch", False),
    "comparison.closed": ("comparisons-detail", False),
    "comparison.reopened": ("comparisons-detail", False),
    "gold.marked": ("quality-comparison", False),
    "gold.retired": ("quality-comparison", False),
    "gold.restored": ("quality-comparison", False),
    "gold.unmarked": ("quality-comparison", False),
}
# By the event, which keeps what was there before.
UNDO_EVENTS = {
    "criterion.removed": "projects-criterion-undo",
    "criterion.changed": "projects-criterion-undo",
}
UNDO_PAGES = {
    "rule.saved": "quality-rules",
    "rule.switched_on": "quality-rules",
    "rule.switched_off": "quality-rules",
    "batch.asked_again": "comparisons-batches",
    "batch.asking_undone": "comparisons-batches",
    "card.asked_again": "comparisons-batches",
    "comparisons.made": "comparisons-list",
    "comparison.adjudication_undone": "quality-items",
    "comparison.flagged": "comparisons-flags",
    "flag.reopened": "comparisons-flags",
    "dispute.opened": "quality-disputes",
    "dispute.reopened": "quality-disputes",
    "group.saved": "quality-groups",
    "group.restored": "quality-groups",
    "exam.changed": "quality-gold",
    "project.changed": "projects-settings",
    "project.archived": "projects-settings",
    "project.restored": "projects-settings",
    "project.created": "projects-settings",
    "guideline.published": "projects-guideline",
    "guideline.amended": "projects-guideline",
    "guideline.requeue_undone": "projects-guideline",
    "criterion.added": "projects-guideline",
    "criterion.restored": "projects-guideline",
    "criterion.removed": "projects-guideline",
    "criterion.changed": "projects-guideline",
    "rubric.changed": "projects-guideline",
    "demonstrations.asked": "demonstrations-list",
    "opening.closed": "demonstrations-list",
    "opening.reopened": "demonstrations-list",
    "webhook.removed": "webhooks-list",
    "invitation.made": "projects-members",
    "invitation.resent": "projects-members",
    "invitation.revoked": "projects-members",
    "invitation.accepted": "projects-members",
    "constitution.published": "judges-constitution",
    "sampling.planned": "overview-setup",
    "member.added": "projects-members",
    "member.removed": "projects-members",
    "member.languages": "projects-members",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailRow:
    """An act with the way to undo it, where there is one; ``is_undone`` where something later took it back."""

    event: AuditEvent
    undo: Undo | None
    is_undone: bool

    @property
    def object_name(self) -> str:
        """What it was done to, in words: "comparison 12"."""
        label = self.event.object_type
        try:
            kind = str(apps.get_model(label)._meta.verbose_name)
        except LookupError:  # kept from a version that had it
            kind = label
        return f"{kind} {self.event.object_id or ''}".strip()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Names and values of what the event keeps, in words; of a setting: what it was and what it became."""
        is_change = self.event.verb == "project.changed"
        told = " → " if is_change else ", "
        kept = sorted(self.event.data.items(), key=lambda one: one[0] == "after")
        return [(name.replace("_", " "), _said(value, told)) for name, value in kept]


def _said(value: object, between: str = ", ") -> str:
    """A JSON value in words."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_said(one)}" for name, one in value.items())
    if isinstance(value, list):
        return between.join(map(_said, value)) or "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else str(value)


def rows_of(events: Sequence[AuditEvent]) -> list[TrailRow]:
    """These acts, and how each is undone: one query, whatever their number.

    An act that is undone by one post is over as soon as anything later was done to its object: that is its undoing, or
    a further act that must be undone first.
    """
    ways = {event.pk: undo_of(event) for event in events}
    newest = _newest_on([event for event in events if (way := ways[event.pk]) and way.is_post])
    rows = []
    for event in events:
        is_undone = newest.get((event.object_type, event.object_id), event.pk) > event.pk
        way, is_undone = ways[event.pk], is_undone and _is_at_once(ways[event.pk])
        rows.append(TrailRow(event=event, undo=None if is_undone else way, is_undone=is_undone))
    return rows


def _is_at_once(way: Undo | None) -> bool:
    return way is not None and way.is_post


def _newest_on(events: Sequence[AuditEvent]) -> dict[tuple[str, int | None], int]:
    """The newest event on each object of these events."""
    if not events:
        return {}
    oldest = min(event.at for event in events)
    rows = AuditEvent.objects.filter(project_id=events[0].project_id, at__gte=oldest)
    rows = rows.filter(
        object_type__in={event.object_type for event in events},
        object_id__in={event.object_id for event in events},
    )
    found = rows.values_list("object_type", "object_id").annotate(newest=Max("pk"))
    return {(kind, key): pk for kind, key, pk in found}


def undo_of(event: AuditEvent) -> Undo | None:
    """The way to undo an act; None where there is none."""
    if event.verb in UNDO_EVENTS and "before" in event.data:
        url = reverse(UNDO_EVENTS[event.verb], args=[event.project_id, event.pk])
        return Undo(url=url, is_post=True)
    if event.verb in UNDO_PAGES:
        return Undo(url=reverse(UNDO_PAGES[event.verb], args=[event.project_id]), is_post=False)
    if event.verb not in UNDO_ROUTES or event.object_id is None:
        return None
    route, is_post = UNDO_ROUTES[event.verb]
    return Undo(url=reverse(route, args=[event.project_id, event.object_id]), is_post=is_post)
