"""Reads of demonstrations: one by its project, a person's own, what an admin lists, and how far it is."""

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from annotation.core.errors import NotFound
from annotation.demonstrations.models import Demonstration, Opening, Version
from annotation.projects.models import Project

# What an admin's list can be narrowed to: of openings and of the demonstrations on them.
FILTERS = ("open", "draft", "submitted", "returned", "approved", "closed")


def demonstrations(project: Project) -> QuerySet[Demonstration]:
    """The demonstrations of a project with what pages and records read of them."""
    rows = Demonstration.objects.filter(project=project)
    return rows.select_related("project", "prompt", "source", "author", "reviewer", "guideline")


def demonstration_of(project: Project, pk: int) -> Demonstration:
    """One demonstration of the project; NotFound otherwise."""
    row = demonstrations(project).filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such demonstration in this project.")
    return row


def own_demonstration(project: Project, *, author_id: int, pk: int) -> Demonstration:
    """One of the author's own in the project; NotFound otherwise."""
    row = demonstrations(project).filter(author_id=author_id, pk=pk).first()
    if row is None:
        raise NotFound("This demonstration does not exist, or it is not yours. Load the next one.")
    return row


def opening_of(project: Project, pk: int) -> Opening:
    """One opening of the project; NotFound otherwise."""
    row = project.openings.select_related("prompt", "source").filter(pk=pk).first()
    if row is None:
        raise NotFound("There is no such opening in this project.")
    return row


def own_demonstrations(project: Project, *, author_id: int) -> QuerySet[Demonstration]:
    """What this person wrote or began here, newest first; what was skipped is not listed."""
    mine = demonstrations(project).filter(author_id=author_id)
    return mine.exclude(state=Demonstration.State.SKIPPED).order_by("-pk")


def openings_in(
    project: Project, *, state: str = "", kind: str = "", author: int = 0
) -> QuerySet[Opening]:
    """The openings of a project, newest first, narrowed by a word of ``FILTERS``, by kind and by author."""
    rows = project.openings.select_related("prompt", "source").order_by("-pk")
    if state in {Opening.State.OPEN, Opening.State.CLOSED}:
        rows = rows.filter(state=state)
    elif state in FILTERS:
        rows = rows.filter(demonstrations__state=state)
    if kind:
        rows = rows.filter(source__isnull=kind == Demonstration.Kind.WRITTEN)
    if author:
        on_them = Demonstration.objects.filter(author=author, state__in=Demonstration.HOLDING)
        rows = rows.filter(pk__in=on_them.values("opening"))
    return rows


def holders_of(openings: list[Opening]) -> dict[int, Demonstration]:
    """The demonstration that holds each opening, by the opening's key; one query."""
    rows = Demonstration.objects.filter(opening__in=openings, state__in=Demonstration.HOLDING)
    return {row.opening_id: row for row in rows.select_related("author")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many openings of a project are in which state."""

    open: int = 0
    draft: int = 0
    submitted: int = 0
    returned: int = 0
    approved: int = 0
    closed: int = 0

    @property
    def wanted(self) -> int:
        return self.open + self.draft + self.submitted + self.returned + self.approved


def progress_of(project: Project) -> Progress:
    """Two counts by state."""
    openings = project.openings.order_by().values_list("state").annotate(count=Count("pk"))
    there = dict(openings)
    held = project.demonstrations.filter(state__in=Demonstration.HOLDING).order_by()
    counts = dict(held.values_list("state").annotate(count=Count("pk")))
    return Progress(
        open=there.get(Opening.State.OPEN, 0),
        closed=there.get(Opening.State.CLOSED, 0),
        draft=counts.get(Demonstration.State.DRAFT, 0),
        submitted=counts.get(Demonstration.State.SUBMITTED, 0),
        returned=counts.get(Demonstration.State.RETURNED, 0),
        approved=counts.get(Demonstration.State.APPROVED, 0),
    )


def latest_version(demonstration: Demonstration) -> Version | None:
    """The newest text that the author sent; None before the first."""
    mine = demonstration.versions.filter(written_by=demonstration.author_id)
    return mine.order_by("-pk").first()


def last_submitted(project: Project, *, author_id: int) -> Demonstration | None:
    """The author's newest text that waits for review: what can be taken back; None if there is none."""
    mine = demonstrations(project).filter(author_id=author_id)
    return mine.filter(state=Demonstration.State.SUBMITTED).order_by("-submitted_at").first()


def returned_to(project: Project, *, author_id: int) -> int:
    """How many texts reviewers returned to this author."""
    mine = project.demonstrations.filter(author_id=author_id)
    return mine.filter(state=Demonstration.State.RETURNED).count()


def next_to_review(
    project: Project, *, after: Demonstration, reviewer_id: int
) -> Demonstration | None:
    """Another text that waits for this reviewer, the longest waiting; None if there is none."""
    waiting = project.demonstrations.filter(state=Demonstration.State.SUBMITTED)
    others = waiting.exclude(author_id=reviewer_id).exclude(pk=after.pk)
    return others.order_by("submitted_at").first()
