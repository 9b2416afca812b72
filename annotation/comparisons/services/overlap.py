"""Which comparisons several people judge: the lot of the project's share, and drawing it again where it was changed."""

import hashlib
from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, Func, Q, QuerySet, TextField, Value

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.models import Comparison, OverlapDraw
from annotation.core.jobs import UNDER_WAY, ring
from annotation.projects.models import Project

AT_ONCE = 20_000  # comparisons in a transaction, of which a request makes one: under half a second


class Drawn(NamedTuple):
    """How far a draw is, and how many comparisons it changed."""

    last: int = 0  # the key of the last comparison
    to_several: int = 0
    to_one: int = 0

    def and_then(self, more: "Drawn") -> "Drawn":
        return Drawn(more.last, self.to_several + more.to_several, self.to_one + more.to_one)


@transaction.atomic
def draw_overlap_again(*, project: Project, actor: User) -> OverlapDraw | None:
    """Let the settings of the overlap hold for what is there already, as long as nobody was given a comparison.

    Batches (an evaluation asks one person each) and what was made for several labels of its own stay as they are. What
    is more than `AT_ONCE` a worker draws: then its job is returned. A draw under way for older settings is over.
    """
    for older in draws_under_way(project):
        older.request_cancel()
    if project.assignments.exists():
        return None
    settings = {"overlap": project.overlap, "overlap_share": project.overlap_share}
    draw = OverlapDraw(project=project, created_by=actor, **settings)
    drawn = _draw_after(0, draw)
    if drawn is None:
        return None
    waiting = _movable(project).filter(pk__gt=drawn.last).count()
    if not waiting:
        _record(project, drawn, actor)
        return None
    draw.last, draw.to_several, draw.to_one = drawn
    draw.progress_done, draw.progress_total = AT_ONCE, AT_ONCE + waiting
    draw.progress_unit = "comparisons"
    draw.save()
    ring(OverlapDraw.job, draw.pk)
    return draw


def draws_under_way(project: Project) -> QuerySet[OverlapDraw]:
    """The draws of a project that are not over."""
    return project.overlap_draws.filter(status__in=UNDER_WAY)


def run_draw(*, draw_id: int, progress: Callable[[int, int, str], None]) -> None:
    """Draw what the request left, a transaction a chunk; another worker goes on where this one ended.

    All of it by the settings that the draw was asked for with: a change that concerns it ends it.
    """
    draw = OverlapDraw.objects.select_related("project", "created_by").get(pk=draw_id)
    drawn = Drawn(draw.last, draw.to_several, draw.to_one)
    while more := _draw_and_keep(draw, drawn):
        drawn = more
        progress(draw.progress_done, draw.progress_total, draw.progress_unit)
    _record(draw.project, drawn, draw.created_by)


@transaction.atomic
def _draw_and_keep(draw: OverlapDraw, drawn: Drawn) -> Drawn | None:
    more = _draw_after(drawn.last, draw)
    if more is None:
        return None
    drawn = drawn.and_then(more)
    draw.progress_done = min(draw.progress_done + AT_ONCE, draw.progress_total)
    kept = OverlapDraw.objects.filter(pk=draw.pk)
    kept.update(progress_done=draw.progress_done, **drawn._asdict())
    return drawn


def _draw_after(last: int, draw: OverlapDraw) -> Drawn | None:
    """Draw the next comparisons, in two statements that touch only what changes; None at the end."""
    project = draw.project
    rows = _movable(project).filter(pk__gt=last).order_by("pk")
    keys = list(rows.values_list("pk", flat=True)[:AT_ONCE])
    if not keys:
        return None
    here = _movable(project).filter(pk__gt=last, pk__lte=keys[-1]).alias(lot=_lot_of(project))
    limit = f"{_lots_drawn(draw.overlap_share) if draw.overlap > 1 else 0:017x}"
    to_several = here.filter(lot__lt=limit).exclude(overlap=draw.overlap)
    to_one = here.filter(lot__gte=limit).exclude(overlap=1)
    several = to_several.update(overlap=draw.overlap, kind=Comparison.Kind.OVERLAP)
    return Drawn(keys[-1], several, to_one.update(overlap=1, kind=Comparison.Kind.NORMAL))


def _movable(project: Project) -> QuerySet[Comparison]:
    """What follows the settings and nobody was given yet."""
    follows = Q(kind=Comparison.Kind.OVERLAP) | Q(kind=Comparison.Kind.NORMAL, overlap=1)
    return project.comparisons.filter(
        follows, batch=None, state=Comparison.State.OPEN, slots_taken=0, judgments_counted=0
    )


def _record(project: Project, drawn: Drawn, actor: User | None) -> None:
    if drawn.to_several or drawn.to_one:
        changed = {"to_several": drawn.to_several, "to_one": drawn.to_one}
        audit.record("comparisons.redrawn", project, actor=actor, **changed)


def is_in_overlap(project: Project, candidate_ids: Sequence[int]) -> bool:
    """Whether a comparison falls into the share that several people judge: by a hash, so the same whenever asked."""
    if project.overlap_share >= 1:
        return True
    drawn = hashlib.sha256(f"{project.pk}:{sorted(candidate_ids)}".encode()).digest()
    return int.from_bytes(drawn[:8]) < _lots_drawn(project.overlap_share)


def _lots_drawn(share: float) -> int:
    """Of 2**64 lots, how many fall into the share."""
    return ceil(share * 2**64)


def _lot_of(project: Project) -> Func:
    """The hash of `is_in_overlap`, by the database and in hexadecimal digits; a zero before, for 2**64 has 17."""
    return Func(
        Value(f"{project.pk}:["),
        Func(F("candidate_ids"), Value(", "), function="array_to_string"),
        Value("]"),
        arg_joiner=" || ",
        template="""(('0' || encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')) COLLATE "C")""",
        output_field=TextField(),
    )
