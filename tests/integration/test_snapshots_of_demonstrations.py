"""Snapshots take in what people wrote and edited, marked with where it comes from, and agreement does not."""

from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets import selectors
from annotation.datasets.query import SnapshotQuery
from annotation.datasets.services import building, requesting
from annotation.datasets.services.exporting import FileFormat, Form, export_of, rows_of
from annotation.demonstrations.models import Demonstration, Opening
from annotation.demonstrations.selectors import latest_version
from annotation.demonstrations.services import reviewing, writing
from annotation.projects.models import Role
from tests import factories
from training.spec.records import DemonstrationText, group_from_dict, read_groups

pytestmark = pytest.mark.django_db


def silent(done: int, total: int, unit: str) -> None:
    """Progress that nobody watches."""


def built(project, **query):
    snapshot = requesting.request_snapshot(project=project, name="All", query=query, actor=None)
    snapshot = building.build_snapshot(snapshot=snapshot, progress=silent)
    snapshot.status = snapshot.Status.DONE
    return snapshot


def approved(project, source=None, text="Ideal.", **author) -> Demonstration:
    """A demonstration on a fresh prompt, or an edit of ``source``, that a second person approved."""
    prompt = source.prompt if source else factories.prompt(project)
    Opening.objects.create(project=project, prompt=prompt, source=source)
    row = writing.lease_next(project=project, author=factories.member(project, **author))
    row = writing.submit(demonstration=row, client_uuid=uuid4(), text=text)
    reviewer = factories.member(project, Role.ADMIN)
    version = latest_version(row).pk
    return reviewing.approve(demonstration=row, reviewer=reviewer, version=version)


def edited(project) -> Demonstration:
    return approved(project, factories.candidate(factories.prompt(project)), "Edited.")


def only_group(snapshot):
    (group,) = read_groups(Path(snapshot.folder))
    return group


def test_a_demonstration_alone_makes_a_snapshot_that_says_it_trains_no_reward_model(project):
    approved(project)
    snapshot = built(project)
    assert only_group(snapshot).demonstrations == (DemonstrationText(text="Ideal."),)
    assert snapshot.manifest["counts"]["demonstrations"] == 1
    assert "no reward model" in snapshot.manifest["warnings"][0]


def test_without_the_option_demonstrations_stay_out(project):
    approved(project)
    with pytest.raises(InvalidInput, match="no demonstration"):
        built(project, demonstrations=False)


def test_what_is_not_approved_stays_out(project):
    row = approved(project)
    reviewing.reverse(demonstration=row, actor=row.reviewer)
    with pytest.raises(InvalidInput, match="no demonstration"):
        built(project)


def test_an_edit_is_preferred_to_its_original_only_where_the_query_says_so(project):
    row = edited(project)
    assert only_group(built(project)).pairs == ()
    group = only_group(built(project, edit_preferences=True))
    (pair,) = group.pairs
    assert (pair.source, group.text_of(pair.chosen), group.text_of(pair.rejected)) == (
        "edit",
        "Edited.",
        row.source.text,
    )
    assert group.demonstrations[0].source == "edited"


def test_edits_are_counted_apart_and_agreement_does_not_see_them(project):
    edited(project)
    manifest = built(project, edit_preferences=True).manifest
    assert manifest["counts"]["edit_preferences"] == 1
    assert manifest["counts"]["preferences"] == 0
    assert manifest["agreement"]["percent"]["n"] == 0
    assert manifest["judgments"]["count"] == 0


def test_where_labelers_judged_edit_and_original_theirs_stands_alone(project):
    row = edited(project)
    comparison = factories.comparison(row.prompt)
    comparison.candidate_ids = sorted([row.source_id, row.candidate_id])
    comparison.save()
    factories.judgment(comparison, ranking=[[row.source_id], [row.candidate_id]])
    (pair,) = only_group(built(project, edit_preferences=True)).pairs
    assert (pair.source, pair.votes_chosen) == ("judgment", 1.0)


def test_an_edit_says_nothing_of_a_single_criterion(project):
    project.criteria.create(name="honest", question="Honest?")
    edited(project)
    snapshot = built(project, edit_preferences=True, criterion="honest")
    assert only_group(snapshot).pairs == ()


def test_what_simulated_people_wrote_goes_in_with_their_kind_only(project):
    approved(project, kind="simulated")
    with pytest.raises(InvalidInput, match="no demonstration"):
        built(project, labelers=["people"])
    assert len(only_group(built(project)).demonstrations) == 1


def test_a_review_stands_once_a_snapshot_took_it(project):
    row = approved(project)
    built(project)
    with pytest.raises(Conflict, match="snapshot"):
        reviewing.reverse(demonstration=row, actor=row.reviewer)


def test_a_review_that_is_reversed_meanwhile_lets_the_build_start_anew(project, monkeypatch):
    row, other = approved(project), approved(project)
    settle = building._settle

    def reversing(*args):
        monkeypatch.setattr(building, "_settle", settle)
        reviewing.reverse(demonstration=row, actor=row.reviewer)
        return settle(*args)

    monkeypatch.setattr(building, "_settle", reversing)
    assert only_group(built(project)).demonstrations[0].text == other.text


def test_the_preview_counts_demonstrations_and_edits(project):
    approved(project)
    edited(project)
    preview = selectors.preview_of(project, SnapshotQuery(edit_preferences=True))
    assert (preview.demonstrations, preview.edit_preferences) == (2, 1)


@pytest.mark.parametrize(
    ("form", "sources"),
    [
        (Form.SFT, ["edited"]),
        (Form.SFT_CHAT, ["edited"]),
        (Form.PREFERENCE, ["edit"]),
        (Form.PREFERENCE_CHAT, ["edit"]),
        (Form.KTO, ["edit", "edit"]),
    ],
)
def test_every_exported_row_names_its_source(project, form, sources):
    edited(project)
    snapshot = built(project, edit_preferences=True)
    assert [row["source"] for row in rows_of(snapshot, form=form)] == sources


@pytest.mark.parametrize("form", [Form.PREFERENCE, Form.KTO, Form.SFT_CHAT, Form.GROUPS])
def test_parquet_holds_the_same_rows(project, form):
    import pyarrow.parquet as pq

    edited(project)
    snapshot = built(project, edit_preferences=True)
    file = BytesIO(b"".join(export_of(snapshot, form=form).pieces(FileFormat.PARQUET)))
    assert pq.read_table(file).to_pylist() == list(rows_of(snapshot, form=form))


def test_an_sft_row_of_a_judged_candidate_says_that_it_was_chosen(project):
    factories.judgment(factories.comparison(factories.prompt(project)))
    (row,) = rows_of(built(project), form=Form.SFT)
    assert row["source"] == "chosen"


def test_a_snapshot_of_the_first_format_is_still_read():
    row = {"prompt_id": "1", "prompt": [], "demonstrations": ["Bare text."]}
    assert group_from_dict(row).demonstrations == (DemonstrationText(text="Bare text."),)
