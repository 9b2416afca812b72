"""Judgments that a team has already become candidates, comparisons and judgments, once each."""

import io
import json
from collections import Counter
from itertools import chain, combinations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.urls import reverse

from annotation.accounts.models import User
from annotation.comparisons.models import Comparison, Judgment
from annotation.comparisons.services.importing import run_any_import
from annotation.generation.models import Candidate
from annotation.projects.models import Role
from annotation.prompts.models import Prompt, PromptImport
from annotation.prompts.services.requesting import request_import
from tests import factories
from tests.real_data import REAL_DATA

pytestmark = pytest.mark.django_db
Contents = PromptImport.Contents
needs_data = pytest.mark.skipif(
    not REAL_DATA.exists(), reason="the real data is not on this machine"
)


def take(payload: bytes, contents: Contents, name="rows.jsonl", project=None) -> PromptImport:
    project = project or factories.project()
    actor = factories.member(project, Role.ADMIN)
    row = request_import(
        project=project, chunks=[payload], filename=name, actor=actor, contents=contents
    )
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    return row


def lines(*rows) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def told(judgment: Judgment) -> str:
    """The verdict in the words of a label table: which text won."""
    texts = dict(
        Candidate.objects.filter(pk__in=chain(*judgment.ranking)).values_list("pk", "text")
    )
    return " > ".join("=".join(sorted(texts[key] for key in tier)) for tier in judgment.ranking)


PAIR = {"prompt": "Name a color.", "chosen": "Blue.", "rejected": "Seven."}


def test_a_chosen_and_rejected_row_becomes_one_judgment_of_the_chosen():
    row = take(lines(PAIR), Contents.PREFERENCES)
    judgment = Judgment.objects.get(project=row.project)
    assert told(judgment) == "Blue. > Seven."
    assert (judgment.is_imported, judgment.strengths, judgment.shown_order) == (True, [2], [])


def test_the_standard_the_conversational_and_the_hh_form_say_the_same():
    turns = [{"role": "user", "content": "Name a color."}]
    said = {name: [{"role": "assistant", "content": PAIR[name]}] for name in ("chosen", "rejected")}
    hh = {name: f"\n\nHuman: Name a color.\n\nAssistant: {PAIR[name]}" for name in said}
    implicit = {name: turns + said[name] for name in said}
    row = take(lines(PAIR, {"prompt": turns, **said}, implicit, hh), Contents.PREFERENCES)
    assert (row.rows_created, row.rows_duplicate, row.rows_rejected) == (1, 3, 0)
    assert Prompt.objects.filter(project=row.project).count() == 1


def test_ranked_groups_keep_their_order_and_their_ties():
    responses = [{"text": "C", "rank": 2}, {"text": "A", "rank": 0}, {"text": "B", "rank": 2}]
    row = take(lines({"prompt": "Q?", "responses": responses}), Contents.PREFERENCES)
    judgment = Judgment.objects.get(project=row.project)
    assert told(judgment) == "A > B=C"
    assert len(judgment.comparison.candidate_ids) == 3


LABELED = {"instruction": "Q?", "response_a": "first", "response_b": "second"}


def test_a_wide_table_holds_a_judgment_for_each_labeler_that_gave_a_label():
    wide = {**LABELED, "annotator1": "a", "annotator2": "tie", "annotator3": ""}
    row = take(lines(wide), Contents.JUDGMENTS)
    judgments = Judgment.objects.filter(project=row.project).order_by("labeler__username")
    assert [told(one) for one in judgments] == ["first > second", "first=second"]
    assert [one.labeler.first_name for one in judgments] == ["annotator1", "annotator2"]


def test_a_long_table_gathers_the_labels_of_one_comparison():
    rows = [
        {**LABELED, "labeler": name, "label": label}
        for name, label in (("x", 1), ("y", 2), ("z", 0))
    ]
    row = take(lines(*rows), Contents.JUDGMENTS)
    comparison = Comparison.objects.get(project=row.project)
    assert (comparison.judgments_counted, comparison.slots_taken, comparison.overlap) == (3, 3, 3)
    assert comparison.state == Comparison.State.JUDGED
    told_all = {told(one) for one in comparison.judgments.all()}
    assert told_all == {"first > second", "second > first", "first=second"}


def test_an_empty_response_that_was_judged_is_taken_and_shown_as_empty(client):
    row = take(lines({**LABELED, "response_a": " ", "label": "b"}), Contents.JUDGMENTS)
    comparison = Comparison.objects.get(project=row.project)
    assert (row.rows_created, row.rows_rejected) == (1, 0)
    client.force_login(factories.member(row.project, Role.ADMIN))
    for name in ("quality-comparison", "comparisons-detail"):
        page = client.get(reverse(name, args=[row.project_id, comparison.pk])).content.decode()
        assert page.count('<p class="not-shown">This response is empty.</p>') == 1
    page = client.get(reverse("quality-items", args=[row.project_id])).content.decode()
    assert '<span class="muted">(empty)</span>' in page
    assert "<bdi>second</bdi>" in page


def test_both_bad_is_all_bad_and_no_ranking():
    row = take(lines({**LABELED, "labeler": "x", "label": "tie (bothbad)"}), Contents.JUDGMENTS)
    judgment = Judgment.objects.get(project=row.project)
    assert judgment.is_all_bad
    assert judgment.ranking == []


def test_the_letter_of_a_response_that_the_row_does_not_have_is_no_label():
    row = take(
        lines({**LABELED, "labeler": "x", "label": "a"}, {**LABELED, "labeler": "y", "label": "C"}),
        Contents.JUDGMENTS,
    )
    assert "'C'" in row.rejected_rows.get().reason
    assert Judgment.objects.filter(project=row.project).count() == 1


def test_labelers_of_a_file_cannot_sign_in():
    row = take(lines({**LABELED, "labeler": "Ann", "label": "a"}), Contents.JUDGMENTS)
    labeler = User.objects.get(username=f"import-{row.project_id}:Ann")
    assert not labeler.has_usable_password()
    assert labeler.kind == User.Kind.PERSON


def test_the_same_file_again_changes_nothing():
    payload = lines({**LABELED, "annotator1": "a", "annotator2": "b"})
    first = take(payload, Contents.JUDGMENTS)
    second = take(payload, Contents.JUDGMENTS, project=first.project)
    assert (second.rows_created, second.rows_duplicate) == (0, 1)
    assert Judgment.objects.filter(project=first.project).count() == 2
    assert Comparison.objects.get(project=first.project).overlap == 2


def test_a_labeler_who_contradicts_an_earlier_row_is_listed_and_the_first_verdict_kept():
    rows = [{**LABELED, "labeler": "x", "label": label} for label in ("a", "b")]
    row = take(lines(*rows), Contents.JUDGMENTS)
    assert "otherwise" in row.rejected_rows.get(line=2).reason
    assert told(Judgment.objects.get(project=row.project)) == "first > second"


DETAILS = {"strengths": [2], "rationale": "why", "marks": [], "criteria": {}, "shown_order": [0, 1]}
OTHERWISE = {
    "strengths": [3],
    "rationale": "why not",
    "marks": [{"response": 0, "start": 0, "end": 2, "kind": "wrong"}],
    "criteria": {"honest": {"ranking": [[0], [1]], "strengths": [1]}},
}


@pytest.mark.parametrize("earlier", ["Another?", "Q?"], ids=["in one file", "in two files"])
@pytest.mark.parametrize("name", OTHERWISE)
def test_a_second_verdict_that_differs_beside_its_ranking_is_listed(name, earlier):
    first = {**LABELED, "labeler": "x", "label": "a", **DETAILS}
    project = take(lines({**first, "instruction": earlier}), Contents.JUDGMENTS).project
    row = take(lines(first, {**first, name: OTHERWISE[name]}), Contents.JUDGMENTS, project=project)
    assert row.rows_rejected == 1
    assert f"and otherwise (other {name})" in row.rejected_rows.get(line=2).reason


def test_a_verdict_that_differs_in_when_it_was_given_alone_is_a_duplicate():
    first = {**LABELED, "labeler": "x", "label": "a", **DETAILS, "marks": OTHERWISE["marks"]}
    row = take(lines(first, {**first, "active_ms": 5}), Contents.JUDGMENTS)
    again = take(lines(first), Contents.JUDGMENTS, project=row.project)
    assert (row.rows_duplicate, row.rows_rejected) == (1, 0)
    assert (again.rows_duplicate, again.rows_rejected) == (1, 0)


REFUSED = {
    "an unknown label": ({**LABELED, "labeler": "x", "label": "maybe"}, "maybe"),
    "no label at all": (LABELED, "no label"),
    "the same response twice": (
        {**LABELED, "response_b": "first", "labeler": "x", "label": "a"},
        "same",
    ),
    "a strength of nine": ({**LABELED, "labeler": "x", "label": "a", "strength": 9}, "strength"),
    "a labeler without a name": ({**LABELED, "labeler": " ", "label": "a"}, "name"),
    "only one response": ({"prompt": "Q?", "response_a": "x", "label": "a"}, "response_b"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_row_of_labels_is_refused_for(case):
    bad, word = REFUSED[case]
    good = {**LABELED, "labeler": "good", "label": "a"}
    row = take(lines(good, bad), Contents.JUDGMENTS)
    assert (row.rows_created, row.rows_rejected) == (1, 1)
    assert word in row.rejected_rows.get(line=2).reason


BAD_PAIRS = {
    "different prompts": (
        {"chosen": "\n\nHuman: A\n\nAssistant: x", "rejected": "\n\nHuman: B\n\nAssistant: y"},
        "different",
    ),
    "an empty chosen": ({**PAIR, "chosen": " "}, "chosen is empty"),
    "no rejected": ({"prompt": "Q?", "chosen": "x"}, "rejected"),
    "ranks that are words": (
        {"prompt": "Q?", "responses": ["a", "b"], "ranks": ["x", "y"]},
        "rank",
    ),
    "ten responses": (
        {"prompt": "Q?", "responses": list("abcdefghij"), "ranks": list(range(10))},
        "2 to 9",
    ),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_a_preference_row_is_refused_for(case):
    bad, word = BAD_PAIRS[case]
    row = take(lines(PAIR, bad), Contents.PREFERENCES)
    assert row.rows_created == 1
    assert word in row.rejected_rows.get(line=2).reason


def kappa(first: dict, second: dict) -> float:
    """Cohen's kappa by its definition: (agreement - agreement by chance) / (1 - agreement by chance)."""
    items = first.keys() & second.keys()
    n = len(items)
    observed = sum(first[item] == second[item] for item in items) / n
    ours, theirs = Counter(first[item] for item in items), Counter(second[item] for item in items)
    chance = sum(ours[label] * theirs[label] for label in ours) / n**2
    return (observed - chance) / (1 - chance)


@needs_data
def test_the_published_kappas_of_pandalm_follow_from_the_stored_rows():
    """README of WeOpenML/PandaLM: 0.85, 0.88, 0.86 for the pairs of annotators, over 999 comparisons."""
    path = REAL_DATA / "pandalm_3annotators.jsonl.gz"
    row = take(path.read_bytes(), Contents.JUDGMENTS, path.name)
    assert (row.rows_created, row.rows_rejected) == (999, 0)
    assert Comparison.objects.filter(project=row.project, judgments_counted=3).count() == 999
    said: dict[str, dict] = {}
    for labeler, comparison, ranking in Judgment.objects.filter(project=row.project).values_list(
        "labeler__first_name", "comparison", "ranking"
    ):
        said.setdefault(labeler, {})[comparison] = (
            json.dumps(ranking) if len(ranking) > 1 else "tie"
        )
    ids = dict(Comparison.objects.filter(project=row.project).values_list("pk", "candidate_ids"))
    by_place = {
        labeler: {
            item: "tie" if said_it == "tie" else ids[item].index(json.loads(said_it)[0][0])
            for item, said_it in verdicts.items()
        }
        for labeler, verdicts in said.items()
    }
    assert len(by_place) == 3
    kappas = sorted(kappa(by_place[one], by_place[two]) for one, two in combinations(by_place, 2))
    assert kappas == pytest.approx([0.8520, 0.8617, 0.8789], abs=5e-3)


@needs_data
@pytest.mark.parametrize(("name", "count"), [("hh_helpful_pairs", 1554), ("oasst_ranked", 107)])
def test_real_preference_files_are_taken_whole(name, count):
    path = REAL_DATA / f"{name}.jsonl.gz"
    row = take(path.read_bytes(), Contents.PREFERENCES, path.name)
    assert row.rows_rejected == 0, list(row.rejected_rows.values_list("line", "reason")[:5])
    assert row.rows_created == count


@pytest.mark.parametrize("rank", [float("nan"), float("inf"), True, "first"])
def test_a_rank_that_is_no_number_is_a_rejected_row(rank):
    responses = [{"text": "A", "rank": 1}, {"text": "B", "rank": rank}]
    good = [{"text": "A", "rank": 1}, {"text": "B", "rank": 2}]
    rows = [{"prompt": "Q?", "responses": each} for each in (responses, good)]
    row = take(lines(*rows), Contents.PREFERENCES)
    assert (row.rows_created, row.rows_rejected) == (1, 1)
    assert "which is not a number" in row.rejected_rows.get().reason


NOTHING = float("nan")
BESIDE = {"created_at": NOTHING, "active_ms": NOTHING, "guideline_version": NOTHING}
BESIDE |= {"margin": NOTHING, "votes_chosen": NOTHING, "category": NOTHING}
BLUE, SEVEN = {"text": "Blue."}, {"text": "Seven."}
GAPS = {
    "a pair": (Contents.PREFERENCES, PAIR),
    "a vote": (
        Contents.JUDGMENTS,
        {"prompt": "Q?", "responses": ["A", "B"], "ranking": [[0], [1]], "strengths": [2]},
    ),
    "all bad": (
        Contents.JUDGMENTS,
        {"prompt": "Q?", "responses": ["A", "B"], "ranking": NOTHING, "is_all_bad": True},
    ),
    "ranks beside": (
        Contents.PREFERENCES,
        {"prompt": "Q?", "responses": [BLUE, SEVEN | {"model": NOTHING}], "ranks": [1, 2]},
    ),
}


def as_lines(row: dict[str, object]) -> tuple[bytes, str]:
    return lines(row), "rows.jsonl"


def as_array(row: dict[str, object]) -> tuple[bytes, str]:
    return json.dumps([row]).encode(), "rows.json"


def as_parquet(row: dict[str, object]) -> tuple[bytes, str]:
    """A table without a mark for nothing, as pyarrow writes it of numpy's."""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row]), file)
    return file.getvalue(), "rows.parquet"


@pytest.mark.parametrize("written", [as_lines, as_array, as_parquet])
@pytest.mark.parametrize(("contents", "row"), GAPS.values(), ids=GAPS)
def test_nan_in_any_column_is_nothing(written, contents, row):
    payload, name = written(BESIDE | row)
    taken = take(payload, contents, name)
    assert list(taken.rejected_rows.values_list("reason", flat=True)) == []
    judgment = Judgment.objects.get(project=taken.project)
    assert (judgment.active_ms, judgment.guideline) == (0, None)
    assert judgment.comparison.prompt.category == ""


def test_nan_in_a_list_that_is_text_is_nothing():
    """CSV holds a list as JSON text."""
    responses = '[{""text"": ""A"", ""rank"": NaN}, {""text"": ""B"", ""rank"": NaN}]'
    table = f'prompt,is_all_bad,responses\nQ?,true,"{responses}"\n'.encode()
    row = take(table, Contents.PREFERENCES, "rows.csv")
    assert Judgment.objects.get(project=row.project).is_all_bad


@pytest.mark.parametrize(
    ("label", "created", "rejected"), [("a", 2, 0), ("b", 1, 1)], ids=["alike", "otherwise"]
)
def test_a_labeler_named_twice_in_a_row_judges_once(label, created, rejected):
    twice = {**LABELED, "labels": {"x": "a", "x ": label}}
    other = {**LABELED, "instruction": "Another?", "labels": {"x": "b"}}
    row = take(lines(twice, other), Contents.JUDGMENTS)
    assert (row.rows_created, row.rows_rejected) == (created, rejected)
    assert Judgment.objects.filter(project=row.project).count() == created


def test_a_column_of_one_labeler_counts_as_used():
    row = take(
        lines({**LABELED, "annotator1": "a", "annotator_2": "b", "mood": "fine"}),
        Contents.JUDGMENTS,
    )
    assert row.unused_columns == ["mood"]
