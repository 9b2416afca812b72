"""Rules of a project: versioned rows with a dry run on history. Nothing that a rule leaves out is deleted.

Three kinds leave judgments out (of resolutions at once, of snapshots as part of their stored query); one pauses
labelers; one has a machine judge count in resolutions, where else only people do. Agreement itself goes on looking at
everybody but machine judges: the figures shall show why a rule is there.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.dateparse import parse_datetime

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.comparisons.gold import gold_answers, is_right_answer
from annotation.core.errors import Conflict, NotFound
from annotation.projects import pauses
from annotation.projects.models import Membership, Project, Role
from annotation.quality import acts, storing
from annotation.quality.adjudication import mark_stale
from annotation.quality.columns import PairColumns, columns_of
from annotation.quality.dryrun import (
    DryRun,
    EarlyStop,
    early_stop,
    effects_of,
    effects_of_counting,
    failed_too_often,
    is_below,
    wrong_when_fast,
)
from annotation.quality.exclusions import Exclusion
from annotation.quality.gold import REASON_MAX, accuracy_on_gold
from annotation.quality.groups import chosen_of
from annotation.quality.models import LabelerAct, LabelerModel, Rule
from annotation.quality.rule_kinds import Kind, Params, checked_agreeing, checked_params
from annotation.quality.scope import Scope
from annotation.quality.scoped import columns_that_count
from annotation.quality.words import cleaned

EXCLUDING = (Kind.EXCLUDE, Kind.TOO_FAST, Kind.GOLD_MINIMUM)
BY_GOLD = (Kind.GOLD_MINIMUM, Kind.PAUSE_ON_GOLD)


def rules_of(project: Project) -> list[Rule]:
    """The newest version of every rule, by series."""
    rows = Rule.objects.filter(project=project).order_by("series", "-version").distinct("series")
    return list(rows.select_related("created_by", "labeler"))


def rules_within(project: Project, scope: Scope) -> list[Rule]:
    """The same that were saved in the time of the filters and concern one of their labelers now."""
    saved = set(Rule.objects.filter(scope.times_q("created_at"), project=project).values_list("pk"))
    chosen = chosen_of(project, scope)
    rows = [one for one in rules_of(project) if (one.pk,) in saved]
    if chosen is None:
        return rows
    return [one for one in rows if {*one.found, one.labeler_id}.intersection(chosen)]


def versions_of(project: Project, series: int) -> QuerySet[Rule]:
    """Every version of one rule, the newest first."""
    rows = Rule.objects.filter(project=project, series=series)
    return rows.select_related("created_by", "labeler").order_by("-version")


def rule_of(project: Project, series: int) -> Rule:
    """The newest version of one rule; NotFound otherwise."""
    row = versions_of(project, series).first()
    if row is None:
        raise NotFound("There is no such rule in this project.")
    return row


def exclusions_of(project: Project, *, beside: int | None = None) -> tuple[Exclusion, ...]:
    """What the rules that are on leave out now; ``beside`` names a series that is not asked."""
    rows = [one for one in rules_of(project) if one.is_on and one.series != beside]
    found = [_exclusion(one) for one in rows if one.kind in EXCLUDING and one.found]
    return tuple(found)


def counted_machines(project: Project, *, beside: int | None = None) -> tuple[int, ...]:
    """The machine judges that the rules that are on count in resolutions; ``beside`` as above."""
    rows = [one for one in rules_of(project) if one.is_on and one.series != beside]
    return tuple(pk for one in rows if one.kind == Kind.COUNT_MACHINE for pk in one.found)


def _exclusion(rule: Rule) -> Exclusion:
    since = rule.params.get("since")
    return Exclusion(
        rule=rule.series,
        version=rule.version,
        labelers=tuple(rule.found),
        since=parse_datetime(since) if since else None,
        faster_than_ms=round(1000 * rule.params.get("seconds", 0)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What rules look at: the judgments as columns, and each labeler's gold answers in real work, oldest first.

    Pauses look at the answers since an admin last resumed a labeler or undid a pause: an answer leads to one pause.
    """

    columns: PairColumns
    gold: dict[int, list[bool]]
    gold_since_resumed: dict[int, list[bool]]


def history_of(project: Project, columns: PairColumns | None = None) -> History:
    """Everything judged so far; ``columns`` spares reading it twice."""
    resumed = _resumed(project)
    gold: defaultdict[int, list[bool]] = defaultdict(list)
    since: defaultdict[int, list[bool]] = defaultdict(list)
    answers = gold_answers(project).exclude(assignment__is_training=True)
    for one in answers.iterator(chunk_size=2_000):
        right = is_right_answer(one)
        gold[one.labeler_id].append(right)
        if one.labeler_id not in resumed or one.created_at > resumed[one.labeler_id]:
            since[one.labeler_id].append(right)
    if columns is None:
        storing.fold_changes(project=project)
        columns = columns_that_count(project, counted=counted_machines(project))
    return History(
        columns=columns,
        gold=gold,
        gold_since_resumed=since,
    )


def _resumed(project: Project) -> dict[int, datetime]:
    """When an admin last let each labeler go on: by resuming them, or by undoing a pause."""
    let_on = Q(kind=LabelerAct.Kind.RESUME, undone_at=None)
    let_on |= Q(kind=LabelerAct.Kind.PAUSE, undone_at__isnull=False)
    rows = LabelerAct.objects.filter(let_on, project=project).order_by().values_list("labeler_id")
    return dict(rows.annotate(last=Max(Coalesce("undone_at", "created_at"))))


def concerned(kind: str, params: Params, history: History) -> tuple[int, ...]:
    """The labelers whom a rule concerns, by id."""
    return _CONCERNED[Kind(kind)](params, history)


def _named(params: Params, _history: History) -> tuple[int, ...]:
    return (int(params["labeler"]),)


def _too_fast(params: Params, history: History) -> tuple[int, ...]:
    return wrong_when_fast(
        history.columns,
        faster_than_ms=round(1000 * params["seconds"]),
        accuracy_below=params["accuracy_below"],
    )


def _below_minimum(params: Params, history: History) -> tuple[int, ...]:
    found = (
        (pk, accuracy_on_gold(sum(answers), len(answers)))
        for pk, answers in history.gold.items()
        if len(answers) >= params["answers"]
    )
    return tuple(sorted(pk for pk, one in found if is_below(one, params["accuracy"])))


def _failing(params: Params, history: History) -> tuple[int, ...]:
    limits = {"failed": params["failed"], "of_last": params["of_last"]}
    return tuple(
        sorted(
            pk
            for pk, answers in history.gold_since_resumed.items()
            if failed_too_often(answers, **limits)
        )
    )


_CONCERNED: dict[Rule.Kind, Callable[[Params, History], tuple[int, ...]]] = {
    Kind.EXCLUDE: _named,
    Kind.TOO_FAST: _too_fast,
    Kind.GOLD_MINIMUM: _below_minimum,
    Kind.PAUSE_ON_GOLD: _failing,
    Kind.COUNT_MACHINE: _named,
}


def dry_run(
    *, project: Project, kind: str, params: Mapping[str, Any], series: int | None = None
) -> DryRun:
    """What a rule would do to everything judged so far. Writes nothing."""
    checked = checked_params(project, kind, params)
    return _tried(project, kind, checked, series)[0]


def _tried(
    project: Project, kind: str, params: Params, series: int | None
) -> tuple[DryRun, tuple[int, ...]]:
    history = history_of(project)
    found = concerned(kind, params, history)
    already = exclusions_of(project, beside=series)
    if kind == Kind.COUNT_MACHINE:
        counted = {*counted_machines(project, beside=series), *found}
        columns = columns_that_count(project, counted=counted)
        return effects_of_counting(columns, already=already, machines=found), found
    if kind == Kind.PAUSE_ON_GOLD:
        working = _working(project, found)
        return effects_of(history.columns, already=already, exclusion=None, paused=working), found
    row = Rule(series=series or 0, version=0, kind=kind, params=params, found=list(found))
    exclusion = _exclusion(row) if found else None
    return effects_of(history.columns, already=already, exclusion=exclusion), found


def _working(project: Project, labeler_ids: tuple[int, ...]) -> tuple[int, ...]:
    """Those of them who are members and not paused."""
    rows = Membership.objects.filter(
        project=project, role=Role.LABELER, paused_at=None, user_id__in=labeler_ids
    )
    return tuple(rows.order_by("user_id").values_list("user_id", flat=True))


def try_early_stop(*, project: Project, agreeing: Any) -> EarlyStop:  # Any: from outside
    """What ending comparisons at so many equal verdicts would have done so far. Writes nothing."""
    wanted = checked_agreeing(agreeing)
    storing.fold_changes(project=project)
    return early_stop(columns_that_count(project, counted=()), agreeing=wanted)


@transaction.atomic
def save_rule(
    *,
    project: Project,
    kind: str,
    params: Mapping[str, Any],
    actor: User,
    reason: str = "",
    series: int | None = None,
) -> Rule:
    """Add a rule, or the next version of one; it is on from now, with its dry run beside it.

    1. Check. 2. Try it on history. 3. Lock the project, so that versions follow each other. 4. Store, audit, ring.
    """
    checked = checked_params(project, kind, params)
    told = cleaned(reason, "reason", REASON_MAX)
    tried, found = _tried(project, kind, checked, series)
    Project.objects.select_for_update().get(pk=project.pk)
    before = rule_of(project, series) if series is not None else None
    _refuse_twice(project, kind, checked, beside=series)
    if before is not None and before.kind != kind:
        raise Conflict(f"Rule {series} is of kind {before.kind}; add a rule of its own for {kind}.")
    newest = Rule.objects.filter(project=project).aggregate(last=Max("series"))["last"] or 0
    rule = Rule.objects.create(
        project=project,
        series=newest + 1 if before is None else before.series,
        version=1 if before is None else before.version + 1,
        kind=kind,
        params=checked,
        reason=told,
        labeler_id=checked.get("labeler"),
        found=list(found),
        dry_run=tried.as_json(),
        created_by=actor,
    )
    _announce("rule.saved", rule, actor)
    return rule


def _refuse_twice(project: Project, kind: str, params: Params, *, beside: int | None) -> None:
    """Raise Conflict where another rule says the same: one of the two would do nothing."""
    for one in rules_of(project):
        if one.series != beside and (one.kind, one.params) == (kind, params):
            say = "it is on" if one.is_on else "switch it on"
            raise Conflict(f"Rule {one.series} says this already: {say}.")


@transaction.atomic
def switch_rule(*, project: Project, series: int, is_on: bool, actor: User) -> Rule:
    """Switch a rule off, or on again: the next version of it. What it left out counts again."""
    Project.objects.select_for_update().get(pk=project.pk)
    rule = rule_of(project, series)
    if rule.is_on == is_on:
        raise Conflict(f"Rule {series} is {'on' if is_on else 'off'} already.")
    rule.pk, rule.version, rule.is_on, rule.created_by = None, rule.version + 1, is_on, actor
    rule.save(force_insert=True)
    _announce("rule.switched_on" if is_on else "rule.switched_off", rule, actor)
    return rule


def _announce(verb: str, rule: Rule, actor: User) -> None:
    audit.record(
        verb,
        rule,
        actor=actor,
        rule=rule.series,
        version=rule.version,
        kind=rule.kind,
        params=rule.params,
    )
    if rule.kind == Kind.COUNT_MACHINE:  # the model of the labelers is of those who count
        LabelerModel.objects.filter(project=rule.project_id).delete()
    mark_stale(rule.project_id)


def enforce(*, project: Project, columns: PairColumns | None = None) -> int:
    """Bring the rules that are on up to date with history, and pause whom a rule pauses; how many were paused.

    A worker calls this when judgments have come; without ``columns`` it asks only what gold answers tell.
    """
    rules = [one for one in rules_of(project) if one.is_on]
    rules = [one for one in rules if columns is not None or one.kind in BY_GOLD]
    if not rules:
        return 0
    history = history_of(project, columns_of(()) if columns is None else columns)
    renewed = [_renew(rule, history) for rule in rules]
    if columns is None and any(renewed):
        mark_stale(project.pk)
    pausing = [one for one in rules if one.kind == Kind.PAUSE_ON_GOLD]
    return sum(
        _pause(project, pk, rule) for rule in pausing for pk in _working(project, tuple(rule.found))
    )


def _renew(rule: Rule, history: History) -> bool:
    """Store whom the rule concerns now; whether that changes what is left out."""
    found = list(concerned(rule.kind, rule.params, history))
    if found == rule.found:
        return False
    Rule.objects.filter(pk=rule.pk).update(found=found)
    rule.found = found
    return rule.kind in EXCLUDING


def _pause(project: Project, labeler_id: int, rule: Rule) -> bool:
    text = pauses.failed_gold(failed=rule.params["failed"], of_last=rule.params["of_last"])
    member = acts.labeler_of(project, labeler_id)
    try:
        acts.act(member=member, kind=LabelerAct.Kind.PAUSE, text=text, actor=None, rule=rule)
    except Conflict:  # an admin was faster
        return False
    return True
