"""Items, gold, rules, the entry exam and disputes as tables for spreadsheets."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from annotation.core.csv_tables import Row
from annotation.quality.appealed import Appealed
from annotation.quality.exams import Entrant
from annotation.quality.gold import GoldReport
from annotation.quality.items import Item
from annotation.quality.models import Dispute, Rule
from annotation.quality.rule_kinds import sentence_of

Table = tuple[list[str], Iterable[Row]]


def items_table(items: Iterable[Item]) -> Table:
    """One row a judgment; an item without one has a row of its own."""
    head = ["comparison", "kind", "bits", "prompt", "labeler", "labeler_kind", "is_repeat"]
    head += ["verdict", "rationale", "guideline_version", "judged_at"]
    return head, _item_rows(items)


def _item_rows(items: Iterable[Item]) -> Iterator[Row]:
    for item in items:
        about = [item.comparison.pk, item.comparison.kind, item.bits, item.prompt]
        for one in item.said:
            judgment = one.judgment
            version = judgment.guideline.version if judgment.guideline else None
            who = [judgment.labeler.username, judgment.labeler.kind, judgment.is_repeat]
            told = [one.verdict, judgment.rationale, version, _moment(judgment.created_at)]
            yield [*about, *who, *told]
        if not item.said:
            yield [*about, *[None] * 7]


def gold_table(report: GoldReport) -> Table:
    head = ["comparison", "prompt", "known", "right", "accuracy", "low", "high", "answers"]
    head += ["training_right", "training_answers", "origin", "is_suspicious"]
    head += ["retired_at", "retire_reason"]
    return head, (
        [
            row.item.pk,
            row.item.comparison.prompt.turns[-1]["content"],
            row.known,
            row.right,
            row.accuracy.value,
            *(row.accuracy.interval or (None, None)),
            row.accuracy.n,
            row.training_right,
            row.training_shown,
            row.item.origin,
            row.is_suspicious,
            _moment(row.item.retired_at),
            row.item.retire_reason,
        ]
        for row in report.rows
    )


def rules_table(rows: Iterable[Rule], names: Mapping[int, str]) -> Table:
    """One row a rule; ``dry_run`` is what it would have done when it was saved, as JSON."""
    head = ["rule", "version", "is_on", "kind", "says", "concerns", "reason", "dry_run"]
    head += ["saved_by", "saved_at"]
    return head, (
        [
            one.series,
            one.version,
            one.is_on,
            one.kind,
            sentence_of(one),
            ", ".join(names[pk] for pk in one.found if pk in names),
            one.reason,
            json.dumps(one.dry_run),
            one.created_by.username if one.created_by else "",
            _moment(one.created_at),
        ]
        for one in rows
    )


def exam_table(entrants: Iterable[Entrant]) -> Table:
    """One row a labeler with their newest attempt, whose cells are empty where they have not begun."""
    head = ["labeler", "state", "attempt", "begun_at"]
    return head, (
        [
            one.labeler.username,
            one.attempt.state,
            one.attempt.number,
            _moment(one.attempt.started_at),
        ]
        if one.attempt
        else [one.labeler.username, "not begun", None, None]
        for one in entrants
    )


def disputes_table(rows: Iterable[Dispute], about: Mapping[int, Appealed]) -> Table:
    head = ["dispute", "labeler", "subject", "about", "comparison", "state", "text", "opened_at"]
    head += ["answer", "answered_by", "answered_at"]
    return head, (
        [
            one.pk,
            one.labeler.username,
            one.subject,
            about[one.pk].title,
            about[one.pk].comparison_id,
            one.state,
            one.text,
            _moment(one.created_at),
            one.answer,
            one.answered_by.username if one.answered_by else "",
            _moment(one.answered_at),
        ]
        for one in rows
    )


def _moment(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
