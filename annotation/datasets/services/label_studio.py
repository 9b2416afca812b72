"""Judgments as annotated tasks of Label Studio, which its importer and ours read."""

import json
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from annotation.datasets.services.judgment_rows import Item, Row, Vote, moment_text

TEXTS = frozenset({"rationale", "labeler_kind"})  # the others travel as JSON


def task_rows(votes: Iterator[Vote]) -> Iterator[Row]:
    """Every comparison as an annotated task of Label Studio: a Pairwise of two, a Ranker of more."""
    annotation = 0
    for number, (item, group) in enumerate(groupby(votes, key=attrgetter("item")), start=1):
        annotations = []
        for vote in (given := list(group)):
            annotation += 1
            annotations.append(_annotation(vote, annotation, number))
        yield {
            "id": number,
            "data": _data(item, given[0].propensity),
            "annotations": annotations,
        }


def _data(item: Item, propensity: float | None) -> Row:
    if len(item.keys) == 2:
        shown = list(enumerate(item.responses, start=1))
        responses: Row = {f"answer{place}": one["text"] for place, one in shown}
        responses |= {f"model_{place}": one["model"] for place, one in shown}
        responses |= {f"is_finished_{place}": one["is_finished"] for place, one in shown}
    else:
        responses = {
            "items": [
                {
                    "id": str(place),
                    "title": "",
                    "body": one["text"],
                    "model": one["model"],
                    "is_finished": one["is_finished"],
                }
                for place, one in enumerate(item.responses, start=1)
            ]
        }
    drawn = {} if propensity is None else {"propensity": propensity}
    return {**item.facts, "prompt": item.prompt_text, **responses, **drawn}


def _annotation(vote: Vote, number: int, task: int) -> Row:
    moment = moment_text(vote.judged_at)
    return {
        "id": number,
        "completed_by": {"email": vote.labeler},
        "result": [_answer(vote), *_beside(vote)],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": moment,
        "updated_at": moment,
        "lead_time": vote.active_ms / 1000,
        "task": task,
    }


def _result(name: str, kind: str, value: Row, *, of: str = "responses") -> Row:
    return {"from_name": name, "to_name": of, "type": kind, "value": value}


def _answer(vote: Vote) -> Row:
    if vote.is_all_bad or len(vote.ranking) == 1:
        choice = "All bad" if vote.is_all_bad else "Tie"
        return _result("tie", "choices", {"choices": [choice]})
    if len(vote.item.keys) == 2:
        side = "left" if vote.ranking[0] == [0] else "right"
        return _result("pairwise", "pairwise", {"selected": side}, of="answer1,answer2")
    buckets = [[str(place + 1) for place in tier] for tier in vote.ranking]
    return _result("ranker", "ranker", {"ranker": {str(n): b for n, b in enumerate(buckets, 1)}})


def _beside(vote: Vote) -> list[Row]:
    """What Label Studio has no control for travels as text, under the names that the importer knows."""
    told = {
        "strengths": vote.strengths,
        "criteria": vote.criteria,
        "marks": vote.marks,
        "shown_order": vote.shown,
        "guideline_version": vote.guideline_version,
        "active_ms": vote.active_ms,
        "labeler_kind": vote.labeler_kind,
        "rationale": vote.rationale,
    }
    return [
        _result(name, "textarea", {"text": [value if name in TEXTS else json.dumps(value)]})
        for name, value in told.items()
        if value
    ]
