"""Gold: comparisons with a known answer. Marked, watched, retired, taken back; the answer never shows in real work."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons import verdicts
from annotation.comparisons.gold import gold_answers, is_right_answer, known_tiers
from annotation.comparisons.letters import letters_of, ranking_text
from annotation.comparisons.models import Assignment, Comparison, GoldItem, Judgment
from annotation.comparisons.selectors import Tiers
from annotation.comparisons.services.comparisons import state_by_judgments
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.measures.labelers import gold_accuracy
from annotation.measures.statistic import Statistic, missing
from annotation.projects.models import Project
from annotation.quality.groups import labelers_within
from annotation.quality.scope import EVERYBODY, EVERYTHING, LabelerKind, Scope, labelers_q
from annotation.quality.words import cleaned, needed

NOTE_MAX, REASON_MAX = 1000, 300
LINES_MAX = 5_000
SUSPICIOUS_FROM = 4  # answers
ALL_BAD = "all bad"
NOT_MACHINES = (LabelerKind.PEOPLE, LabelerKind.SIMULATED, LabelerKind.IMPORTED)
_KNOWN = re.compile(r"(\d{1,18}|[A-Z])(\s*[>=]\s*(\d{1,18}|[A-Z])){0,8}", re.ASCII | re.IGNORECASE)


@transaction.atomic
def mark_gold(
    *,
    comparison: Comparison,
    known_ranking: Tiers,
    actor: User,
    note: str = "",
    origin: str = GoldItem.Origin.HAND,
) -> GoldItem:
    """Make a comparison gold, or correct the known answer of one that is. An empty ranking: all are bad.

    While it is gold its judgments are in no agreement and no snapshot, and who holds it answers it as gold;
    `unmark_gold` takes it back.
    """
    row = Comparison.objects.select_for_update().get(pk=comparison.pk)
    tiers = _checked(row, known_ranking)
    told = cleaned(note, "note", NOTE_MAX)
    item = GoldItem.objects.filter(comparison=row).first()
    before = row.known_ranking
    known = {"ranking": tiers, "is_all_bad": not tiers}
    if item is None:
        item = GoldItem.objects.create(
            comparison=row,
            project_id=row.project_id,
            origin=origin,
            note=told,
            kind_before=row.kind,
            state_before=row.state,
            created_by=actor,
        )
    else:
        GoldItem.objects.filter(pk=item.pk).update(note=told, origin=origin)
        item.note, item.origin = told, origin
    state = Comparison.State.CLOSED if item.retired_at else Comparison.State.OPEN
    Comparison.objects.filter(pk=row.pk).update(
        kind=Comparison.Kind.GOLD, known_ranking=known, state=state
    )
    _free_places(row)
    audit.record("gold.marked", item, actor=actor, comparison=row.pk, was=before, known=known)
    return item


def _free_places(comparison: Comparison) -> None:
    """Leases on gold take no place. One whose answer arrives at this moment keeps it, and is counted there."""
    taking = Assignment.objects.filter(
        comparison=comparison, state=Assignment.State.LEASED, takes_place=True
    )
    keys = list(taking.select_for_update(skip_locked=True).values_list("pk", flat=True))
    freed = Assignment.objects.filter(pk__in=keys).update(takes_place=False)
    Comparison.objects.filter(pk=comparison.pk).update(slots_taken=F("slots_taken") - freed)


def _checked(comparison: Comparison, tiers: Tiers) -> Tiers:
    if tiers:
        verdicts.check_ranking(comparison.candidate_ids, tiers, [1] * (len(tiers) - 1))
        verdicts.check_scale(comparison.project.answer_scale, tiers, ())
    return [sorted(tier) for tier in tiers]


@transaction.atomic
def retire_gold(*, item: GoldItem, reason: str, actor: User) -> GoldItem:
    """Serve it no more, and count its answers for nobody."""
    told = needed(reason, "reason", REASON_MAX)
    rows = GoldItem.objects.filter(pk=item.pk, retired_at=None)
    if not rows.update(retired_at=timezone.now(), retire_reason=told):
        raise Conflict("This gold comparison is retired already.")
    Comparison.objects.filter(pk=item.pk).update(state=Comparison.State.CLOSED)
    audit.record("gold.retired", item, actor=actor, comparison=item.pk, reason=told)
    item.refresh_from_db()
    return item


@transaction.atomic
def restore_gold(*, item: GoldItem, actor: User) -> GoldItem:
    """Undo `retire_gold`: its answers count again."""
    rows = GoldItem.objects.filter(pk=item.pk, retired_at__isnull=False)
    if not rows.update(retired_at=None, retire_reason=""):
        raise Conflict("This gold comparison is in use already.")
    Comparison.objects.filter(pk=item.pk).update(state=Comparison.State.OPEN)
    audit.record("gold.restored", item, actor=actor, comparison=item.pk)
    item.refresh_from_db()
    return item


@transaction.atomic
def unmark_gold(*, item: GoldItem, actor: User) -> Comparison:
    """Make it an ordinary comparison again: withdrawn if it was, else as its judgments say, which count again.

    Who holds it takes a place, as far as there are free ones.
    """
    held = Assignment.objects.filter(
        comparison=item.pk,
        state=Assignment.State.LEASED,
        lease_until__gt=timezone.now(),
        is_repeat=False,
        is_training=False,
    ).select_for_update(skip_locked=True)
    keys = list(held.filter(takes_place=False).order_by("pk").values_list("pk", flat=True))
    rows = Comparison.objects.select_for_update(of=("self",)).select_related("project", "batch")
    comparison = rows.get(pk=item.pk)
    known, comparison.known_ranking = comparison.known_ranking, None
    comparison.kind, comparison.state = item.kind_before, item.state_before
    if item.state_before != Comparison.State.CLOSED:
        comparison.state = state_by_judgments(comparison)
        free = max(0, comparison.overlap - comparison.slots_taken)
        placed = Assignment.objects.filter(pk__in=keys[:free])
        comparison.slots_taken += placed.update(takes_place=True)
    comparison.save(update_fields=["kind", "state", "known_ranking", "slots_taken"])
    audit.record(
        "gold.unmarked",
        comparison,
        actor=actor,
        comparison=item.pk,
        known=known,
    )
    item.delete()
    return comparison


def gold_item(project: Project, pk: int) -> GoldItem:
    """One gold comparison of the project; NotFound otherwise."""
    item = GoldItem.objects.filter(project=project, pk=pk).select_related("comparison").first()
    if item is None:
        raise NotFound("There is no such gold comparison in this project.")
    return item


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldRow:
    """A gold comparison with what labelers made of it."""

    item: GoldItem
    right: int
    training_right: int
    training_shown: int
    accuracy: Statistic  # of answers in real work and in training together
    is_suspicious: bool  # its answers are worse than those to other gold: look at what is "known"

    @property
    def known(self) -> str:
        comparison = self.item.comparison
        return ranking_text(known_tiers(comparison), letters_of(comparison.candidate_ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldReport:
    """A page of gold with the accuracy over all gold that is in use."""

    rows: list[GoldRow]
    overall: Statistic


@dataclass(slots=True)
class _Count:
    right: int = 0
    shown: int = 0
    training_right: int = 0
    training_shown: int = 0

    def add(self, judgment: Judgment, *, is_training: bool) -> None:
        right = is_right_answer(judgment)
        self.shown += 1
        self.right += right
        self.training_shown += is_training
        self.training_right += is_training and right


def gold_items(project: Project, scope: Scope = EVERYTHING) -> QuerySet[GoldItem]:
    """The gold of the project that the filters of comparisons let in: what is in use first, the newest first."""
    rows = GoldItem.objects.filter(scope.comparisons_q("comparison__"), project=project)
    return rows.select_related("comparison__prompt", "created_by").order_by(
        F("retired_at").asc(nulls_first=True), "-created_at", "-pk"
    )


def _answers(project: Project, scope: Scope) -> QuerySet[Judgment]:
    """Answers to gold that the filters let in; of all but machine judges where they name no kind of labelers."""
    kinds = tuple(LabelerKind) if scope.labelers == EVERYBODY else (scope.labelers,)
    kept = labelers_q(kinds if scope.labelers else NOT_MACHINES) & scope.times_q("created_at")
    kept &= scope.comparisons_q("comparison__") & labelers_within(project, scope)
    if scope.guideline:
        kept &= Q(guideline__version=scope.guideline)
    return gold_answers(project).filter(kept).select_related("comparison", "assignment")


def gold_report(
    project: Project, items: Iterable[GoldItem], scope: Scope = EVERYTHING
) -> GoldReport:
    """How each of these items was answered, by what the filters let in; three queries, whatever their number."""
    listed = list(items)
    counts = {item.pk: _Count() for item in listed}
    total = _Count()
    for judgment in _answers(project, scope).iterator(chunk_size=2_000):
        is_training = bool(judgment.assignment and judgment.assignment.is_training)
        total.add(judgment, is_training=is_training)
        if judgment.comparison_id in counts:
            counts[judgment.comparison_id].add(judgment, is_training=is_training)
    return GoldReport(
        rows=[_row(item, counts[item.pk], total) for item in listed],
        overall=accuracy_on_gold(total.right, total.shown),
    )


def _row(item: GoldItem, count: _Count, total: _Count) -> GoldRow:
    accuracy = accuracy_on_gold(count.right, count.shown)
    others = accuracy_on_gold(total.right - count.right, total.shown - count.shown)
    high = accuracy.interval.high if accuracy.interval else 1.0
    return GoldRow(
        item=item,
        right=count.right,
        training_right=count.training_right,
        training_shown=count.training_shown,
        accuracy=accuracy,
        is_suspicious=count.shown >= SUSPICIOUS_FROM and high < (others.value or 0.0),
    )


def accuracy_on_gold(right: int, shown: int) -> Statistic:
    """The posterior of an accuracy on gold; missing where nothing was answered."""
    if shown == 0:
        return missing(_("No gold comparison has been answered yet."))
    return gold_accuracy(right, shown=shown)


def ranking_from(text: str, candidate_ids: Sequence[int]) -> Tiers:
    """A known answer of a comparison in its letters or candidate numbers. Raises InvalidInput naming what was read."""
    said = text.strip()
    if not said:
        raise InvalidInput("There is no answer after the number.")
    if said.lower() == ALL_BAD:
        return []
    if not _KNOWN.fullmatch(said):
        raise InvalidInput(
            f"{said[:60]!r} is no known answer; write the letters of the comparison’s page or candidate numbers, best "
            "first, such as “A > C = B”, or “all bad”."
        )
    letters, numbers = letters_of(candidate_ids), {pk: str(pk) for pk in candidate_ids}
    known = {name: pk for names in (letters, numbers) for pk, name in names.items()}
    shown = numbers if said.lower() == said.upper() else letters
    tiers = [
        sorted(_candidate(one.strip(), known, shown) for one in tier.split("="))
        for tier in said.split(">")
    ]
    _check_each_once(tiers, shown)
    return tiers


def _candidate(name: str, known: Mapping[str, int], shown: Mapping[int, str]) -> int:
    found = known.get(name.upper().lstrip("0"))
    if found is None:
        raise InvalidInput(
            f"There is no {name} here; the comparison has {', '.join(shown.values())}."
        )
    return found


def _check_each_once(tiers: Tiers, shown: Mapping[int, str]) -> None:
    """``shown`` are the names of the candidates as they were written: letters or numbers."""
    times = Counter(pk for tier in tiers for pk in tier)
    faults = [
        f"{name} stands {'twice' if times[pk] == 2 else f'{times[pk]} times'}"
        for pk, name in shown.items()
        if times[pk] > 1
    ]
    faults += [f"{name} is missing" for pk, name in shown.items() if not times[pk]]
    if faults:
        raise InvalidInput(f"{'; '.join(faults)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldImport:
    """What an import of known answers did: how many were taken, and each line that was not, with the reason."""

    taken: int
    rejected: list[tuple[int, str]]


def import_gold(*, project: Project, text: str, actor: User) -> GoldImport:
    """Take lines of ``comparison, known answer, note``. A wrong line is reported and stops no other.

    A line that says of gold what is known changes nothing.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines or len(lines) > LINES_MAX:
        raise InvalidInput.at(
            "text", f"Send 1 to {LINES_MAX:,} lines of known answers; there are {len(lines):,}."
        )
    taken: dict[int, int] = {}  # the line of each comparison
    rejected = []
    for number, line in lines:
        key, _, answer = line.partition(",")
        try:
            pk = _named(key.strip(), taken)
            _take(project, pk, answer, actor)
            taken[pk] = number
        except (InvalidInput, NotFound, Conflict) as error:
            rejected.append((number, str(error)))
    return GoldImport(taken=len(taken), rejected=rejected)


def _named(key: str, taken: Mapping[int, int]) -> int:
    if not (key.isascii() and key.isdecimal() and len(key) < 19):
        raise InvalidInput(f"{key[:40]!r} is not the number of a comparison.")
    if int(key) in taken:
        raise InvalidInput(f"Line {taken[int(key)]} gave comparison {key} its answer already.")
    return int(key)


def _take(project: Project, pk: int, answer: str, actor: User) -> None:
    ranking, _, note = answer.partition(",")
    comparison = Comparison.objects.filter(project=project, pk=pk).first()
    if comparison is None:
        raise NotFound(f"There is no comparison {pk} in this project.")
    tiers = ranking_from(ranking, comparison.candidate_ids)
    if comparison.kind == Comparison.Kind.GOLD:
        _refuse_another(comparison, tiers)
        return
    origin = GoldItem.Origin.IMPORTED
    mark_gold(comparison=comparison, known_ranking=tiers, actor=actor, note=note, origin=origin)


def _refuse_another(comparison: Comparison, tiers: Tiers) -> None:
    """Conflict where gold is known to be another: a file corrects none that somebody relies on."""
    known = known_tiers(comparison)
    if [sorted(tier) for tier in tiers] != [sorted(tier) for tier in known]:
        told = ranking_text(known, letters_of(comparison.candidate_ids))
        raise Conflict(
            f"Comparison {comparison.pk} is gold already, with the known answer {told}. Correct it on the page of "
            "known answers, or take it back there and import the line again."
        )
