"""Files of other tools and of published data sets, each in the shape that it is exported in."""

import json
from typing import Any

import pytest

from annotation.comparisons.models import Judgment
from annotation.core.errors import InvalidInput
from annotation.projects.models import Role
from annotation.prompts.models import Prompt, PromptImport
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.readers.forms import JUDGED_FORMS, read_judged
from annotation.prompts.readers.rows import RowRefused
from annotation.prompts.selectors import rejected_of
from annotation.prompts.services.requesting import request_import
from tests import factories
from tests.integration.test_importing_judgments import as_parquet, lines, take, told

pytestmark = pytest.mark.django_db
Contents = PromptImport.Contents


def verdicts(row: PromptImport) -> dict[str, str]:
    judgments = Judgment.objects.filter(project=row.project).select_related("labeler")
    return {one.labeler.first_name: told(one) for one in judgments}


def annotation(labeler, *results, **facts):
    return {
        "id": 1001,
        "completed_by": {"id": 7, "email": labeler},
        "was_cancelled": False,
        "created_at": "2026-03-09T22:16:08.728353Z",
        "lead_time": 4.288,
        "result": list(results),
        **facts,
    }


def pairwise(side, sides="a1,a2"):
    return {"from_name": "pw", "to_name": sides, "type": "pairwise", "value": {"selected": side}}


def ranker(value):
    return {"from_name": "rank", "to_name": "list", "type": "ranker", "value": {"ranker": value}}


PAIR_TASK = {
    "id": 1,
    "data": {"prompt": "Name a color.", "answer1": "Blue.", "answer2": "Seven."},
    "predictions": [],
    "project": 83,
}
RANKED_TASK = {
    "id": 2,
    "data": {
        "prompt": "Name a color.",
        "items": [
            {"id": "m1", "title": "One", "body": "Blue."},
            {"id": "m2", "title": "Two", "body": "Red."},
            {"id": "m3", "title": "Three", "body": "Seven."},
        ],
    },
}


def test_label_studio_pairs_hold_a_judgment_for_each_annotation_that_stands():
    strength = {"from_name": "strength", "type": "rating", "value": {"rating": 3}}
    why = {"from_name": "rationale", "type": "textarea", "value": {"text": ["A number", "is none"]}}
    tie = {"from_name": "tie", "type": "choices", "value": {"choices": ["Tie"]}}
    task = {
        **PAIR_TASK,
        "annotations": [
            annotation("ann@x.org", pairwise("right"), strength, why),
            annotation("bo@x.org", tie),
            annotation("cy@x.org", pairwise("left"), was_cancelled=True),
        ],
    }
    row = take(json.dumps([task]).encode(), Contents.JUDGMENTS, "tasks.json")
    assert verdicts(row) == {"ann@x.org": "Seven. > Blue.", "bo@x.org": "Blue.=Seven."}
    judgment = Judgment.objects.get(project=row.project, labeler__first_name="ann@x.org")
    assert (judgment.strengths, judgment.rationale) == ([3], "A number\nis none")
    assert judgment.created_at.isoformat() == "2026-03-09T22:16:08.728353+00:00"


NAMED_TASK = {
    "prompt": "Name a color.",
    "model_1": "m1",
    "model_2": "m2",
    "response_1": "Blue.",
    "response_2": "Seven.",
    "score_a": 0.1,
    "score_b": 0.2,
}
TWO_PAIRS = {"prompt": "Hi", "draft1": "w", "draft2": "x", "final1": "y", "final2": "z"}


def test_the_time_that_label_studio_measured_is_that_of_the_judgment():
    told = {"from_name": "active_ms", "type": "textarea", "value": {"text": ["900"]}}
    given = [annotation("x", pairwise("left")), annotation("y", pairwise("left"), told)]
    given += [annotation("z", pairwise("left"), lead_time=None)]
    (read,) = read_judged({**PAIR_TASK, "annotations": given})
    assert [one.active_ms for one in read.verdicts] == [4288, 900, 0]


def test_label_studio_responses_are_not_taken_from_the_columns_of_models_and_scores():
    task = {"data": NAMED_TASK, "annotations": [annotation("ann", pairwise("left"))]}
    found = read_judged(task)[0]
    assert [(one.text, one.source) for one in found.responses] == [
        ("Blue.", "m1"),
        ("Seven.", "m2"),
    ]


@pytest.mark.parametrize(
    ("sides", "verdict"),
    [("final1,final2", "y > z"), ("final2, final1", "z > y"), ("draft1,draft2", "w > x")],
)
def test_the_left_response_of_label_studio_is_the_first_that_the_answer_points_at(sides, verdict):
    task = {"data": TWO_PAIRS, "annotations": [annotation("ann", pairwise("left", sides))]}
    assert verdicts(take(lines(task), Contents.JUDGMENTS)) == {"ann": verdict}


def test_each_annotation_of_label_studio_is_read_by_what_it_points_at_itself():
    turned = annotation("bo", pairwise("left", "final2,final1"))
    task = {
        "data": TWO_PAIRS,
        "annotations": [annotation("ann", pairwise("left", "final1,final2")), turned],
    }
    row = take(lines(task), Contents.JUDGMENTS)
    assert verdicts(row) == {"ann": "y > z", "bo": "z > y"}


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ({"rank": ["m2", "m1", "m3"]}, "Red. > Blue. > Seven."),
        ({"good": ["m2", "m1"], "bad": ["m3"]}, "Blue.=Red. > Seven."),
        (["m3", "m2", "m1"], "Seven. > Red. > Blue."),
    ],
    ids=["in order", "in buckets", "a plain list"],
)
def test_label_studio_rankings_keep_order_and_buckets(value, verdict):
    task = {**RANKED_TASK, "annotations": [annotation("ann", ranker(value))]}
    assert verdicts(take(lines(task), Contents.JUDGMENTS)) == {"ann": verdict}


RANKING = [{"value": "response-1", "rank": 2}, {"value": "response-2", "rank": 1}]
TEXTS = {"prompt": "Name a color.", "response-1": "Seven.", "response-2": "Blue."}
ARGILLA = {
    "the server's record": {
        "fields": TEXTS,
        "metadata": {},
        "external_id": "q1",
        "responses": [
            {"user_id": "u1", "status": "submitted", "values": {"ranking": {"value": RANKING}}},
            {"user_id": "u2", "status": "discarded", "values": None},
        ],
    },
    "a record of 2.x": {
        "id": "q1",
        "status": "completed",
        "fields": TEXTS,
        "metadata": {},
        "suggestions": {},
        "responses": {"ranking": [{"user_id": "u1", "value": ["response-2", "response-1"]}]},
    },
    "a row of the data set": {
        **TEXTS,
        "ranking": [
            {
                "user_id": "u1",
                "status": "submitted",
                "value": {"rank": [2, 1], "value": ["response-1", "response-2"]},
            }
        ],
        "ranking-suggestion": None,
        "external_id": "q1",
        "metadata": "{}",
    },
    "a flat record of 2.x": {
        "id": "q1",
        "status": "completed",
        "_server_id": "0e4a",
        **TEXTS,
        "ranking.responses": [["response-2", "response-1"], ["response-1", "response-2"]],
        "ranking.responses.users": ["u1", "u2"],
        "ranking.responses.status": ["submitted", "discarded"],
        "ranking.suggestion": None,
        "quality.responses": [5],
        "quality.responses.users": ["u1"],
        "quality.responses.status": ["submitted"],
    },
    "a flat record with ranks": {
        "id": "q1",
        **TEXTS,
        "ranking.responses": [RANKING],
        "ranking.responses.users": ["u1"],
        "ranking.responses.status": ["submitted"],
    },
    "a label of the server's record": {
        "fields": TEXTS,
        "external_id": "q1",
        "responses": [
            {"user_id": "u1", "status": "submitted", "values": {"which": {"value": "response-2"}}}
        ],
    },
    "a label of 2.x": {
        "id": "q1",
        "fields": TEXTS,
        "responses": {
            "preference": [{"user_id": "u1", "value": "response2"}],
            "topic": [{"user_id": "u1", "value": "colors"}],
        },
    },
    "a flat label of 2.x": {
        "id": "q1",
        **TEXTS,
        "response_length": 6,
        "preference.responses": ["b"],
        "preference.responses.users": ["u1"],
        "preference.responses.status": ["submitted"],
    },
}
FLAT_TIE = {
    **TEXTS,
    "better.responses": ["tie"],
    "better.responses.users": ["u1"],
    "better.responses.status": ["submitted"],
}


@pytest.mark.parametrize("case", ARGILLA)
def test_argilla_rankings_are_read_from(case):
    row = take(lines(ARGILLA[case]), Contents.JUDGMENTS)
    assert verdicts(row) == {"u1": "Blue. > Seven."}, list(row.rejected_rows.values())
    assert Prompt.objects.get(project=row.project).turns[-1]["content"] == "Name a color."


@pytest.mark.parametrize("case", [case for case, row in ARGILLA.items() if "response-1" in row])
def test_argilla_rankings_find_the_columns_of_a_table(case):
    payload, name = as_parquet(ARGILLA[case])
    row = take(payload, Contents.JUDGMENTS, name)
    assert verdicts(row) == {"u1": "Blue. > Seven."}, list(row.rejected_rows.values())


BESIDE = {
    "a question of several labels": {"tags": ["a", "b"]},
    "a label of another kind": {"label_quality": "good"},
    "a label that is a place elsewhere": {"choice_certainty": "1"},
    "a label that names the prompt": {"topic": "prompt"},
    "a label that names what else is known": {"topic": "context"},
}


def answered(**values):
    return [{"user_id": "u1", "values": {name: {"value": one} for name, one in values.items()}}]


@pytest.mark.parametrize("case", BESIDE)
def test_the_preference_of_an_argilla_record_is_read_beside(case):
    texts = {**TEXTS, "context": "Of the sky."}
    alone, beside = (
        read_judged({"fields": texts, "responses": answered(preference="response2", **more)})
        for more in ({}, BESIDE[case])
    )
    assert beside == alone
    assert [one.tiers for one in alone[0].verdicts] == [((1,), (0,))]


def test_a_label_of_argilla_may_name_a_response_that_is_called_by_its_model():
    texts = {"prompt": "Name a color.", "gpt": "Seven.", "llama": "Blue."}
    answers = [*answered(which="gpt", topic="prompt"), *answered(which="llama")]
    [read] = read_judged({"fields": texts, "responses": answers})
    assert [one.text for one in read.responses] == ["Seven.", "Blue."]
    assert [one.tiers for one in read.verdicts] == [((0,), (1,)), ((1,), (0,))]


def message(text, role, *replies, **facts):
    return {"message_id": text, "text": text, "role": role, "replies": list(replies), **facts}


TREE = {
    "message_tree_id": "t1",
    "tree_state": "ready_for_export",
    "prompt": message(
        "Hello?",
        "prompter",
        message("No.", "assistant", rank=1),
        message(
            "Hi!",
            "assistant",
            message(
                "Why?",
                "prompter",
                message("So.", "assistant", rank=0),
                message("Because.", "assistant", rank=2),
                message("Gone.", "assistant", rank=1, deleted=True),
                lang="en",
            ),
            rank=0,
        ),
        lang="en",
    ),
}


def test_a_tree_gives_a_ranking_wherever_replies_are_ranked():
    row = take(lines(TREE), Contents.PREFERENCES)
    judgments = Judgment.objects.filter(project=row.project).order_by("pk")
    assert [told(one) for one in judgments] == ["Hi! > No.", "So. > Because."]
    deeper = judgments[1].comparison.prompt
    assert [turn["content"] for turn in deeper.turns] == ["Hello?", "Hi!", "Why?"]
    assert deeper.language == "en"
    assert (row.rows_created, row.rows_rejected) == (1, 0)


def test_a_tree_of_many_replies_keeps_the_best_ranked_and_the_report_says_what_is_left_out(client):
    replies = [message(f"Reply {rank}", "assistant", rank=rank) for rank in range(11, -1, -1)]
    tree = {"prompt": message("Howdy?", "prompter", *replies)}
    row = take(lines(TREE, tree), Contents.PREFERENCES)
    judgment = Judgment.objects.get(project=row.project, comparison__prompt__external_id="Howdy?")
    assert told(judgment) == " > ".join(f"Reply {rank}" for rank in range(9))
    assert (row.rows_created, row.rows_rejected, row.rows_duplicate) == (2, 0, 0)
    [part] = rejected_of(row)
    assert (part.line, part.is_taken) == (2, True)
    assert part.reason == (
        "Message 'Howdy?' has 12 ranked replies: the 9 of the best ranks are compared, 3 are left out."
    )
    client.force_login(factories.member(row.project, Role.ADMIN))
    page = client.get(f"/projects/{row.project_id}/prompts/imports/{row.pk}/")
    assert "taken in part</span> Message &#x27;Howdy?&#x27; has 12" in page.content.decode()


TULU = {
    "instance_id": "user_oriented_7",
    "prompt": "Name a color.",
    "model_a": "tulu",
    "model_b": "alpaca",
    "completion_a": "Blue.",
    "completion_b": "Seven.",
    "completion_a_is_acceptable": "yes",
    "completion_b_is_acceptable": "no",
    "preference": "a-is-slightly-better",
    "comments": "A number.",
    "evaluator": "eva",
    "timestamp": "2023-06-01 10:20:30",
}


def test_tulu_tables_tell_strength_comment_and_that_both_are_unacceptable():
    both = {
        **TULU,
        "evaluator": "oda",
        "preference": "tie",
        "completion_a_is_acceptable": "no",
    }
    row = take(lines(TULU, both), Contents.JUDGMENTS)
    eva, oda = Judgment.objects.filter(project=row.project).order_by("pk")
    assert (told(eva), eva.strengths, eva.rationale) == ("Blue. > Seven.", [1], "A number.")
    assert (oda.is_all_bad, oda.ranking) == (True, [])


WMT = {
    "srclang": "ces",
    "trglang": "eng",
    "documentId": "idnes",
    "segmentId": "12",
    "judgeID": "j1",
    "source_text": "Ahoj.",
    **{f"system{n}Id": name for n, name in enumerate(("x", "y", "z"), start=1)},
    **{f"system{n}rank": rank for n, rank in enumerate(("2", "1", "-1"), start=1)},
    **{f"system{n}Text": text for n, text in enumerate(("Ahoi.", "Hello.", "Bye."), start=1)},
}


def test_wmt_rankings_leave_out_systems_without_a_rank():
    row = take(lines(WMT), Contents.JUDGMENTS)
    assert verdicts(row) == {"j1": "Hello. > Ahoi."}
    prompt = Prompt.objects.get(project=row.project)
    assert (prompt.external_id, prompt.category, prompt.language) == ("idnes:12", "ces-eng", "eng")


def test_wmt_rows_without_the_texts_say_which_columns_are_wanted():
    bare = {name: value for name, value in WMT.items() if not name.endswith("Text")}
    with pytest.raises(RowRefused, match="add the column system1Text"):
        read_judged(bare)


TRL = {"prompt": "Name a color.", "chosen": "Blue.", "rejected": "Seven."}


@pytest.mark.parametrize(("margin", "strength"), [(3, 3), (1.6, 2), (0.2, 1), ("2.0", 2)])
def test_a_margin_is_the_strength_of_one_vote(margin, strength):
    row = take(lines({**TRL, "margin": margin}), Contents.PREFERENCES)
    assert Judgment.objects.get(project=row.project).strengths == [strength]


def test_counted_votes_become_judgments_whose_strengths_have_the_margin_as_mean():
    """(3 + 3 - 1 + 0) / 4 = 1.25: whoever gave them, the mean of the four is that again."""
    counts = {"margin": 1.25, "votes_chosen": 2, "votes_rejected": 1, "votes_tied": 1}
    (read,) = read_judged({**TRL, **counts})
    signed = [sum(one.strengths) * (1 if one.tiers[0] == (0,) else -1) for one in read.verdicts]
    assert sum(signed) / 4 == 1.25
    assert [len(one.tiers) for one in read.verdicts] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    ("votes_chosen", "votes_rejected", "votes_tied"), [(0, 0, 0), (0, 2, 0), (1, 1, 1), (1, 0, 2)]
)
def test_a_row_that_says_otherwise_than_its_votes_is_one_verdict(
    votes_chosen, votes_rejected, votes_tied
):
    counts = {"votes_chosen": votes_chosen, "votes_rejected": votes_rejected}
    (read,) = read_judged({**TRL, **counts, "votes_tied": votes_tied, "margin": 3})
    said = [(one.labeler, one.tiers, one.strengths) for one in read.verdicts]
    assert said == [("dataset", ((0,), (1,)), (3,))]
    told = f"({votes_chosen} for chosen, {votes_rejected} for rejected, {votes_tied} tied)"
    assert told in read.left_out


def test_a_long_table_may_rank_more_than_two():
    item = {"prompt": "Q?", "response_a": "x", "response_b": "y", "response_c": "z"}
    rows = [
        {**item, "labeler": "ann", "label": "b > a=c"},
        {**item, "labeler": "bo", "label": "tie"},
    ]
    assert verdicts(take(lines(*rows), Contents.JUDGMENTS)) == {"ann": "y > x=z", "bo": "x=y=z"}


VOTE = {
    "prompt": [{"role": "user", "content": "Q?"}],
    "responses": [{"text": "alpha", "model": "m1"}, {"text": "beta"}],
    "labeler": "labeler-00aa",
    "labeler_kind": "machine",
    "ranking": [[1], [0]],
    "strengths": [3],
    "is_all_bad": False,
    "criteria": {"honest": {"ranking": [[0, 1]], "strengths": []}},
    "marks": [{"response": 0, "start": 1, "end": 3, "kind": "wrong"}],
    "rationale": "why",
    "shown_order": [1, 0],
    "judged_at": "2026-02-03T04:05:06.000007+00:00",
    "active_ms": 900,
    "guideline_version": 4,
}


def test_a_vote_keeps_all_that_it_tells():
    row = take(lines(VOTE), Contents.JUDGMENTS)
    one = Judgment.objects.get(project=row.project)
    alpha, beta = one.ranking[1][0], one.ranking[0][0]
    assert told(one) == "beta > alpha"
    assert one.criteria == {"honest": {"ranking": [sorted([alpha, beta])], "strengths": []}}
    assert one.marks == [{"candidate": alpha, "start": 1, "end": 3, "kind": "wrong"}]
    assert one.shown_order == [beta, alpha]
    assert (one.active_ms, one.imported_guideline_version, one.labeler.kind) == (900, 4, "machine")
    assert one.created_at.isoformat() == VOTE["judged_at"]


RANKED = {"prompt": "Q?", "responses": ["alpha", "beta"], "ranks": [2, 1]}
LABELED = {"prompt": "Q?", "response_a": "alpha", "response_b": "beta", "label": "b"}


@pytest.mark.parametrize(
    "column",
    [
        {"criteria": ["helpfulness"]},
        {"criteria": {"helpful": 0.3}},
        {"marks": [8, 9]},
        {"marks": {"alpha": 8}},
        {"shown_order": ["beta", "alpha"]},
        {"shown_order": [2, 1]},
    ],
    ids=str,
)
@pytest.mark.parametrize("table", [RANKED, LABELED], ids=["ranked", "labels"])
def test_a_column_that_has_the_name_of_a_detail_and_another_shape_is_left(table, column):
    assert read_judged({**table, **column}) == read_judged(table)


@pytest.mark.parametrize("table", [RANKED, LABELED], ids=["ranked", "labels"])
def test_a_table_may_tell_criteria_marks_and_the_order_shown(table):
    details = {name: VOTE[name] for name in ("criteria", "marks", "shown_order")}
    [read] = read_judged({**table, **details})
    [verdict] = read.verdicts
    assert verdict.criteria == {"honest": (((0, 1),), ())}
    assert (verdict.marks, verdict.shown) == (VOTE["marks"], (1, 0))


SPOILT: dict[str, tuple[dict[str, Any], str]] = {
    "a ranking that names a place twice": ({**VOTE, "ranking": [[0], [0]]}, "names the places"),
    "neither a ranking nor all bad": ({**VOTE, "ranking": []}, "either a ranking or all bad"),
    "a mark outside": ({**VOTE, "marks": [{"response": 1, "start": 0, "end": 9}]}, "outside"),
    "a time that is none": ({**VOTE, "judged_at": "yesterday"}, "not a time"),
    "a strength of five": ({**VOTE, "strengths": [5]}, "strength"),
    "a kind nobody knows": ({**VOTE, "labeler_kind": "dog"}, "labeler_kind"),
    "a margin of a score": ({**TRL, "margin": 7.5}, "from 0 to 3"),
    "more votes than are taken": ({**TRL, "votes_chosen": 101}, "counts 101 votes; at most 100"),
    "an edit over its original": (
        {**TRL, "votes_chosen": 1, "source": "machine_edit"},
        "source is 'machine_edit': an edit over its original, which nobody compared",
    ),
    "an order with a letter too many": (
        {"prompt": "Q?", "response_a": "x", "response_b": "y", "label": "a>c"},
        "known are",
    ),
    "a pairwise answer in the middle": (
        {**PAIR_TASK, "annotations": [annotation("x", pairwise("middle"))]},
        "left or right",
    ),
    "two pairs that may be the responses": (
        {"data": TWO_PAIRS, "annotations": [annotation("x", pairwise("left"))]},
        "draft1 and draft2 or final1 and final2.* to_name",
    ),
    "annotations of different columns": (
        {
            "data": TWO_PAIRS,
            "annotations": [
                annotation("x", pairwise("left", "draft1,draft2")),
                annotation("y", pairwise("left", "final1,final2")),
            ],
        },
        "different columns: draft1,draft2 and final1,final2",
    ),
    "a pairwise answer of three": (
        {**RANKED_TASK, "annotations": [annotation("x", pairwise("left"))]},
        "of 3 responses",
    ),
    "a ranker that forgets one": (
        {**RANKED_TASK, "annotations": [annotation("x", ranker({"r": ["m1"]}))]},
        "each of",
    ),
    "a time that Label Studio does not measure": (
        {**PAIR_TASK, "annotations": [annotation("x", pairwise("left"), lead_time="long")]},
        "lead_time is 'long'",
    ),
    "only cancelled annotations": (
        {**PAIR_TASK, "annotations": [annotation("x", was_cancelled=True)]},
        "submitted",
    ),
    "a label that names no response": (
        {**FLAT_TIE, "better.responses": ["politics"]},
        "label 'politics' of better names no response",
    ),
    "labels that ask something else": (
        {"fields": TEXTS, "responses": {"topic": [{"user_id": "u1", "value": "colors"}]}},
        "a label that names a response",
    ),
    "more answers than users": (
        {**FLAT_TIE, "better.responses": ["tie", "a"]},
        "2 answers of 1 users",
    ),
    "results that are words": ({**PAIR_TASK, "annotations": [{"result": ["x"]}]}, "nested"),
    "a tree without ranks": ({"prompt": message("Hi", "prompter")}, "two replies"),
    "a preference nobody knows": ({**TULU, "preference": "a-lot"}, "a-is-better"),
    "a record nobody answered": (
        {"fields": TEXTS, "responses": [{"user_id": "u", "status": "draft", "values": {}}]},
        "submitted",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_row_is_refused_with_its_reason_for(case):
    fields, words = SPOILT[case]
    with pytest.raises(RowRefused, match=words):
        read_judged(fields)


GROUP = {
    "prompt_id": "p1",
    "prompt": [{"role": "user", "content": "Q?"}],
    "split": "train",
    "candidates": [{"id": "1", "text": "x"}, {"id": "2", "text": "y"}],
    "pairs": [{"chosen": "1", "rejected": "2", "votes_chosen": 2, "votes_rejected": 1}],
}
EXAMPLES: dict[RowForm, dict[str, Any]] = {
    RowForm.LABEL_STUDIO: {**PAIR_TASK, "annotations": [annotation("x", pairwise("left"))]},
    RowForm.ARGILLA: ARGILLA["the server's record"],
    RowForm.OASST: TREE,
    RowForm.TULU: TULU,
    RowForm.WMT: WMT,
    RowForm.TRL: TRL,
    RowForm.VOTES: VOTE,
    RowForm.GROUPS: GROUP,
    RowForm.RANKED: {"prompt": "Q?", "responses": ["x", "y"], "ranks": [1, 2]},
    RowForm.LABELS: {"prompt": "Q?", "response_a": "x", "response_b": "y", "annotator1": "a"},
}


@pytest.mark.parametrize("form", [one.form for one in JUDGED_FORMS])
def test_every_form_is_told_by_its_columns(form):
    fields = EXAMPLES[form]
    first = next(one.form for one in JUDGED_FORMS if one.fits(fields))
    assert first == form
    assert read_judged(fields) == read_judged(fields, form)


def test_a_form_that_does_not_go_with_the_contents_is_refused():
    with pytest.raises(InvalidInput, match="is for judgments"):
        request_import(
            project=factories.project(),
            chunks=[lines(TRL)],
            filename="rows.jsonl",
            actor=None,
            contents=Contents.PROMPTS,
            row_form=RowForm.OASST,
        )


def test_an_argilla_ranking_of_responses_that_are_not_there_is_refused_with_what_was_seen():
    answer = {"values": {"ranking": {"value": [{"value": "reply-9", "rank": 1}]}}}
    record = {"fields": {"prompt": "Hi"}, "responses": [{**answer, "status": "submitted"}]}
    with pytest.raises(RowRefused, match="no two responses that were ranked; seen: 'prompt'"):
        read_judged(record, RowForm.ARGILLA)
