"""What leaves as TRL rows comes back as the same preferences; a real file becomes a snapshot."""

import gzip
import json
from pathlib import Path

import pytest

from annotation.accounts.models import User
from annotation.comparisons.services.importing import run_any_import
from annotation.datasets.query import EVERYBODY
from annotation.datasets.services import building, exporting, files, requesting
from annotation.datasets.services.exporting import FileFormat, Form
from annotation.demonstrations.services import asking
from annotation.demonstrations.services.asking import PromptFilter
from annotation.projects.models import Role
from annotation.prompts.models import PromptImport
from annotation.prompts.services.requesting import request_import
from annotation.prompts.services.storing import chat_fingerprint
from annotation.quality import adjudication
from annotation.quality.adjudication import Verdict
from tests import factories
from tests.integration.test_demonstrations import approved, leased, sent
from tests.real_data import REAL_DATA
from training.data.gathering import gather
from training.spec.records import read_groups

pytestmark = pytest.mark.django_db
PANDALM = REAL_DATA / "pandalm_3annotators.jsonl.gz"
Contents = PromptImport.Contents


def imported(payload, contents, name="rows.jsonl"):
    project = factories.project()
    row = taken_into(project, payload, contents, name)
    assert row.rows_rejected == 0, list(row.rejected_rows.values_list("line", "reason"))[:3]
    return project


def taken_into(project, payload, contents, name="rows.jsonl"):
    actor = factories.member(project, Role.ADMIN)
    row = request_import(
        project=project, chunks=[payload], filename=name, actor=actor, contents=contents
    )
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    row.refresh_from_db()
    return row


def snapshot_of(project, **query):
    row = requesting.request_snapshot(project=project, name="All", query=query, actor=None)
    building.build_snapshot(snapshot=row, progress=lambda *_: None)
    type(row).objects.filter(pk=row.pk).update(status="done")
    row.refresh_from_db()
    return row


def preferences(snapshot):
    """What a snapshot says, without numbers: prompt, chosen, rejected."""
    return {
        (row["prompt_id"], row["chosen"], row["rejected"])
        for row in exporting.rows_of(snapshot, form=Form.PREFERENCE)
    }


FORMATS = [FileFormat.JSONL, FileFormat.CSV, FileFormat.PARQUET]
WINNER, BOTH = {"It breaks 0"}, {"It breaks 0", "It breaks 1"}
CUT_ROWS = [
    (Form.PREFERENCE, Contents.PREFERENCES, BOTH),
    (Form.PREFERENCE_CHAT, Contents.PREFERENCES, BOTH),
    (Form.KTO, Contents.SIGNALS, BOTH),
    (Form.KTO_CHAT, Contents.SIGNALS, BOTH),
    (Form.SFT, Contents.DEMONSTRATIONS, WINNER),
    (Form.SFT_CHAT, Contents.DEMONSTRATIONS, WINNER),
]
CUT_VOTES = [(form, Contents.JUDGMENTS, BOTH) for form in (Form.VOTES, Form.RANKING, Form.LABELS)]


@pytest.fixture
def cut_project():
    """A cut response that won against one that ended, and one that ended that won against a cut one."""
    project = factories.project()
    for number, side in enumerate((0, 1)):
        comparison = factories.comparison(factories.prompt(project, f"Question {number}?"))
        factories.judgment(comparison)
        cut = comparison.candidate_ids[side]
        project.candidates.filter(pk=cut).update(is_finished=False, text=f"It breaks {number}")
    return project


def cut_texts(records) -> set[str]:
    """The texts in the records of a snapshot that say they have no end."""
    return {
        one.text
        for group in records
        for one in (*group.candidates, *group.demonstrations)
        if not one.is_finished
    }


@pytest.mark.parametrize(("form", "contents", "cut"), CUT_ROWS + CUT_VOTES)
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_cut_response_comes_back_cut(cut_project, form, contents, cut, file_format):
    before = snapshot_of(cut_project)
    payload = b"".join(exporting.export_of(before, form=form).pieces(file_format))
    fresh = imported(payload, contents, f"rows.{file_format}")
    assert cut_texts(read_groups(Path(snapshot_of(fresh).folder))) == cut


@pytest.mark.parametrize(("form", "_contents", "cut"), CUT_ROWS)
def test_a_cut_response_is_gathered_cut_without_the_site(
    cut_project, form, _contents, cut, tmp_path
):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(files.jsonl(exporting.rows_of(snapshot_of(cut_project), form=form))))
    gather([path], tmp_path / "made", shares={"train": 1.0, "validation": 0.0, "test": 0.0}, seed=1)
    assert cut_texts(read_groups(tmp_path / "made")) == cut


def test_a_mark_that_is_neither_true_nor_false_is_refused():
    row = {"prompt": "Why?", "chosen": "So", "rejected": "No."}
    rows = [row, row | {"chosen_is_finished": "perhaps"}]
    payload = b"\n".join(json.dumps(one).encode() for one in rows)
    taken = taken_into(factories.project(), payload, Contents.PREFERENCES)
    assert taken.unused_columns == []
    [reason] = taken.rejected_rows.values_list("reason", flat=True)
    assert reason == ("chosen_is_finished is 'perhaps'; it is true, or false for a cut response.")


@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.PREFERENCE_CHAT])
def test_exported_preferences_come_back_as_the_same_preferences(form):
    project = factories.project()
    factories.judgment(factories.comparison(factories.prompt(project, "Short and plain?")))
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Why\n\nso?"},
    ]
    longer = factories.prompt(project, turns=turns)
    factories.judgment(factories.comparison(longer))
    before = snapshot_of(project)
    payload = b"".join(files.jsonl(exporting.rows_of(before, form=form)))
    after = snapshot_of(imported(payload, Contents.PREFERENCES))
    texts = [{row[1:] for row in preferences(one)} for one in (before, after)]
    assert texts[0] == texts[1]
    chats = [
        sorted([turn.content for turn in group.prompt] for group in read_groups(Path(one.folder)))
        for one in (before, after)
    ]
    assert chats[0] == chats[1]


@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.PREFERENCE_CHAT])
def test_exported_preferences_are_gathered_as_the_same_pairs_without_the_site(form, tmp_path):
    project = factories.project()
    for number in range(12):
        asked = factories.prompt(project, f"Question {number}?")
        factories.judgment(factories.comparison(asked), strengths=[1 + number % 3])
    before = snapshot_of(project)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(files.jsonl(exporting.rows_of(before, form=form))))
    gather([path], tmp_path / "made", shares={"train": 1.0, "validation": 0.0, "test": 0.0}, seed=1)
    told = [
        {
            (group.prompt, group.split, *texts_of(group, pair), pair.soft_label, pair.margin)
            for group in read_groups(folder)
            for pair in group.pairs
        }
        for folder in (Path(before.folder), tmp_path / "made")
    ]
    assert told[0] == told[1]
    assert {one[1] for one in told[0]} > {"train"}


def texts_of(group, pair):
    return [group.text_of(name) for name in (pair.chosen, pair.rejected)]


ODD_PROMPTS = [
    [("user", "Human: is it plain?")],
    [("user", "Continue:\n\nHuman: hi\n\nAssistant: hello")],
    [("user", "Human: hi\n\nAssistant: hello\n\nHuman: go on")],
    [("user", "\n\nSystem: x\n\nHuman: y")],
    [("user", '[{"role": "user", "content": "x"}]')],
    [("user", '[{"role": "nobody"')],
    [("user", "a  \n"), ("assistant", "b \n"), ("user", " c ")],
    [("user", "a"), ("assistant", "see\n\nHuman: quoted"), ("user", "b")],
    [("system", "Be brief.\n\nSystem: really."), ("user", "q")],
    [("system", "See\n\nHuman: quoted"), ("user", "q")],
    [("assistant", "Hello"), ("user", "Human: q")],
]
CONTENTS = {
    "preference": Contents.PREFERENCES,
    "kto": Contents.SIGNALS,
    "sft": Contents.DEMONSTRATIONS,
}


def odd_project(turns):
    """One judged pair on such a prompt, whose better response is the JSON of a chat."""
    project = factories.project()
    said = [{"role": role, "content": content} for role, content in turns]
    comparison = factories.comparison(factories.prompt(project, turns=said))
    factories.judgment(comparison)
    chat = '[{"role": "assistant", "content": "not this"}]'
    project.candidates.filter(pk=comparison.candidate_ids[0]).update(text=chat)
    return project


@pytest.mark.parametrize("turns", ODD_PROMPTS)
@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.KTO, Form.SFT])
def test_a_plain_prompt_is_read_as_the_prompt_that_it_was(turns, form):
    project = odd_project(turns)
    payload = b"".join(files.jsonl(exporting.rows_of(snapshot_of(project), form=form)))
    fresh = imported(payload, CONTENTS[form])
    told = fresh.prompts.values_list("turns", flat=True)
    assert [chat_fingerprint(one) for one in told] == [
        chat_fingerprint(project.prompts.get().turns)
    ]
    assert fresh.candidates.filter(text__startswith='[{"role": "assistant"').count() == 1


@pytest.mark.parametrize("turns", ODD_PROMPTS)
@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.KTO, Form.SFT])
def test_a_plain_prompt_is_gathered_as_the_prompt_that_it_was(turns, form, tmp_path):
    project = odd_project(turns)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(files.jsonl(exporting.rows_of(snapshot_of(project), form=form))))
    gather([path], tmp_path / "made", shares={"train": 1.0, "validation": 0.0, "test": 0.0}, seed=1)
    [group] = read_groups(tmp_path / "made")
    told = [{"role": turn.role, "content": turn.content} for turn in group.prompt]
    assert chat_fingerprint(told) == chat_fingerprint(project.prompts.get().turns)
    texts = [one.text for one in (*group.candidates, *group.demonstrations)]
    assert sum(text.startswith('[{"role": "assistant"') for text in texts) == 1


def decided(project, ranking_of, *, is_all_bad=False, strengths=(3,)):
    """A pair of which two people said "the second", or that both are bad, and an admin otherwise."""
    comparison = factories.comparison(factories.prompt(project), overlap=3)
    first, second = comparison.candidate_ids
    for _ in range(2):
        ranking = [] if is_all_bad else [[second], [first]]
        factories.judgment(comparison, ranking=ranking, is_all_bad=is_all_bad)
    verdict = Verdict(ranking=ranking_of(first, second), strengths=list(strengths))
    admin = factories.member(project, Role.ADMIN)
    adjudication.adjudicate(
        comparison=comparison, cause="labeler_error", verdict=verdict, actor=admin
    )


def verdicts_in(snapshot):
    """What the pairs of a snapshot say, whoever said it."""
    return {
        (*texts_of(group, pair), pair.is_tie, pair.soft_label, pair.margin)
        for group in read_groups(Path(snapshot.folder))
        for pair in group.pairs
    }


@pytest.fixture
def overruled():
    project = factories.project()
    decided(project, lambda first, second: [[first], [second]])
    decided(project, lambda first, second: [[first], [second]], is_all_bad=True)
    return project


@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.PREFERENCE_CHAT, Form.GROUPS])
def test_what_an_admin_decided_comes_back_as_decided(overruled, form):
    if form == Form.GROUPS:
        decided(overruled, lambda first, second: [[first, second]], strengths=())
    before = snapshot_of(overruled)
    payload = b"".join(files.jsonl(exporting.rows_of(before, form=form)))
    fresh = factories.project()
    row = taken_into(fresh, payload, Contents.PREFERENCES)
    assert verdicts_in(snapshot_of(fresh)) == verdicts_in(before)
    in_part = row.rejected_rows.filter(is_taken=True)
    assert (row.rows_rejected, in_part.count()) == (0, row.rows_read)
    assert "against its votes (0 for chosen, 2 for rejected, 0 tied)" in str(
        in_part.values_list("reason", flat=True)
    )


@pytest.fixture
def guessed():
    """Two who always agree and three who guess: in an eighth of the pairs all three say otherwise."""
    project = factories.project()
    careful, guessing = [[factories.user() for _ in range(count)] for count in (2, 3)]
    for number in range(24):
        comparison = factories.comparison(factories.prompt(project), overlap=9)
        first, second = comparison.candidate_ids
        rights = [True, True, *(bool(number >> place & 1) for place in range(3))]
        for person, is_right in zip((*careful, *guessing), rights, strict=True):
            ranking = [[first], [second]] if is_right else [[second], [first]]
            factories.judgment(comparison, person, ranking=ranking)
    return project


@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.PREFERENCE_CHAT, Form.GROUPS])
def test_what_dawid_skene_found_against_the_majority_comes_back_as_found(guessed, form):
    before = snapshot_of(guessed, aggregation="dawid_skene")
    payload = b"".join(files.jsonl(exporting.rows_of(before, form=form)))
    fresh = factories.project()
    row = taken_into(fresh, payload, Contents.PREFERENCES)
    found = [{said[:3] for said in verdicts_in(one)} for one in (before, snapshot_of(fresh))]
    assert found[0] == found[1]
    assert row.rejected_rows.filter(is_taken=True).count() == 3


@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.GROUPS])
def test_an_edit_comes_back_as_no_vote_and_the_report_says_so(form):
    """Nobody compared it with its original: it is in the report, and what people judged is taken."""
    project = factories.project()
    admin, author = factories.member(project, Role.ADMIN), factories.member(project)
    factories.judgment(factories.comparison(factories.prompt(project)))
    asking.ask_to_edit(project=project, wanted=PromptFilter(), choose="losing", actor=admin)
    approved(sent(leased(project, author), "A mended response."), admin)
    before = snapshot_of(project, edit_preferences=True)
    payload = b"".join(files.jsonl(exporting.rows_of(before, form=form)))
    fresh = factories.project()
    row = taken_into(fresh, payload, Contents.PREFERENCES)
    assert verdicts_in(snapshot_of(fresh)) == verdicts_in(snapshot_of(project))
    [told] = row.rejected_rows.all()
    assert told.is_taken == (form == Form.GROUPS)
    assert "nobody compared" in told.reason


@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.GROUPS])
def test_what_machines_said_comes_back_as_theirs(form):
    project = factories.project()
    machine = factories.member(project, kind=User.Kind.MACHINE)
    for people in (0, 1):
        comparison = factories.comparison(factories.prompt(project), overlap=2)
        for who in [machine, *(factories.member(project) for _ in range(people))]:
            factories.judgment(comparison, who)

    def told(project):
        snapshot = snapshot_of(project, labelers=list(EVERYBODY))
        rows = exporting.rows_of(snapshot, form=Form.PREFERENCE)
        return sorted((row["source"], row["votes_machine"], row["votes_chosen"]) for row in rows)

    assert told(project) == [("judgment", 1, 2), ("machine", 1, 1)]
    before = snapshot_of(project, labelers=list(EVERYBODY))
    payload = b"".join(files.jsonl(exporting.rows_of(before, form=form)))
    fresh = imported(payload, Contents.PREFERENCES)
    assert told(fresh) == told(project)
    assert len(list(exporting.rows_of(snapshot_of(fresh), form=Form.PREFERENCE))) == 1


SIGNAL = {"prompt": "Name a color.", "response": "Blue."}
GROUPED = [
    (
        Contents.JUDGMENTS,
        [
            {
                "prompt": "Name a color.",
                "response_a": "Blue.",
                "response_b": "Red.",
                "labels": {"a": 1, "b": 1, "c": 2},
            },
            {
                "prompt": "Name a color.",
                "response_a": "Blue.",
                "response_b": "Seven.",
                "labels": {"a": "tie"},
            },
            {
                "prompt": "Name a city.",
                "response_a": "Four",
                "response_b": "Five",
                "labels": {"a": "all_bad"},
            },
            {"prompt": "Name a tree.", "responses": ["Oak", "Elm", "Ash"], "ranks": [1, 2, 2]},
        ],
    ),
    (
        Contents.SIGNALS,
        [
            {**SIGNAL, "accepted": True, "labeler": "u1"},
            {**SIGNAL, "accepted": False, "labeler": "u2"},
            {**SIGNAL, "accepted": True, "labeler": "u3"},
        ],
    ),
    (Contents.DEMONSTRATIONS, [{"prompt": "Name a fish.", "completion": "Cod."}]),
]


def groups_of(project, file_format=FileFormat.JSONL) -> bytes:
    export = exporting.export_of(snapshot_of(project), form=Form.GROUPS)
    return b"".join(export.pieces(file_format))


@pytest.mark.parametrize("file_format", [FileFormat.JSONL, FileFormat.CSV, FileFormat.PARQUET])
def test_groups_come_back_as_the_same_groups(file_format):
    """Pairs with their votes, ties, what is unacceptable, signals and demonstrations: each read from the same file."""
    project = factories.project()
    for contents, rows in GROUPED:
        taken_into(project, b"\n".join(json.dumps(row).encode() for row in rows), contents)
    project.candidates.filter(text__in=["Elm", "Cod."]).update(is_finished=False)
    before = groups_of(project, file_format)
    fresh = factories.project()
    for contents, _ in GROUPED:
        taken_into(fresh, before, contents, f"groups.{file_format}")
    assert groups_of(fresh).splitlines() == groups_of(project).splitlines()
    assert len(groups_of(project).splitlines()) == 4
    assert groups_of(fresh).count(b'"is_finished": false') == 2


def rows_out(project, form) -> list[tuple[str, ...]]:
    """What a snapshot of the project exports, without numbers and places."""
    rows = exporting.rows_of(snapshot_of(project), form=form)
    said = ("prompt", "completion", "messages", "label")
    return sorted(tuple(json.dumps(row[key]) for key in said if key in row) for row in rows)


@pytest.mark.parametrize(
    ("form", "contents"),
    [
        (Form.KTO, Contents.SIGNALS),
        (Form.KTO_CHAT, Contents.SIGNALS),
        (Form.SFT, Contents.DEMONSTRATIONS),
        (Form.SFT_CHAT, Contents.DEMONSTRATIONS),
    ],
)
@pytest.mark.parametrize("file_format", [FileFormat.JSONL, FileFormat.CSV, FileFormat.PARQUET])
def test_what_kto_and_sft_learn_from_comes_back_as_it_left(form, contents, file_format):
    """A label becomes a signal and a completion a demonstration; both leave again as the same rows."""
    project = factories.project()
    for kind, rows in GROUPED:
        taken_into(project, b"\n".join(json.dumps(row).encode() for row in rows), kind)
    export = exporting.export_of(snapshot_of(project), form=form)
    payload = b"".join(export.pieces(file_format))
    fresh = imported(payload, contents, f"rows.{file_format}")
    assert rows_out(fresh, form) == rows_out(project, form)
    assert len(rows_out(project, form)) > 1


@pytest.mark.skipif(not PANDALM.exists(), reason="the real data is not on this machine")
def test_three_real_annotators_become_a_snapshot_with_their_votes():
    project = imported(gzip.decompress(PANDALM.read_bytes()), Contents.JUDGMENTS)
    snapshot = snapshot_of(project, labelers=["imported"])
    groups = list(read_groups(Path(snapshot.folder)))
    pairs = [pair for group in groups for pair in group.pairs]
    assert snapshot.pairs == len(pairs) == project.comparisons.count()
    assert {pair.votes_chosen + pair.votes_rejected + pair.votes_tied for pair in pairs} == {3.0}
    assert snapshot.manifest["agreement"]["percent_without_ties"]["value"] > 0.9
    assert snapshot.manifest["labelers"]["count"] == 3
    assert sum(snapshot.splits.values()) == len(groups)
