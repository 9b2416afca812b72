"""Snapshots: what goes in, how votes become pairs, how splits are drawn, and that nothing changes afterwards."""

import json
import os
import shutil
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.comparisons.models import Comparison, Judgment
from annotation.core.errors import InvalidInput
from annotation.datasets import selectors
from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services import building, requesting
from annotation.projects.models import Criterion
from tests import factories
from training.spec.records import read_groups

pytestmark = pytest.mark.django_db


def silent(done: int, total: int, unit: str) -> None:
    """Progress that nobody watches."""


def built(project, **query):
    snapshot = requesting.request_snapshot(project=project, name="All", query=query, actor=None)
    return building.build_snapshot(snapshot=snapshot, progress=silent)


def groups(snapshot):
    return list(read_groups(Path(snapshot.folder)))


def judged(project, *signs, content=""):
    """A comparison of two with one judgment a sign: 1 the first is better, -1 the second, 0 a tie."""
    comparison = factories.comparison(factories.prompt(project, content), overlap=9)
    first, second = comparison.candidate_ids
    tiers = {1: [[first], [second]], -1: [[second], [first]], 0: [[first, second]]}
    for sign in signs:
        factories.judgment(comparison, ranking=tiers[sign])
    return comparison


def test_the_votes_and_the_soft_label_of_a_pair_are_kept():
    project = factories.project()
    judged(project, 1, 1, -1, 0)
    pair = groups(built(project))[0].pairs[0]
    assert (pair.votes_chosen, pair.votes_rejected, pair.votes_tied) == (2, 1, 1)
    assert pair.soft_label == pytest.approx(2 / 3, abs=1e-6)
    assert pair.margin == pytest.approx((2 + 2 - 2) / 4)


def test_a_record_says_which_responses_the_token_limit_cut():
    project = factories.project()
    comparison = judged(project, 1)
    cut = comparison.candidates.get(pk=comparison.candidate_ids[0])
    type(cut).objects.filter(pk=cut.pk).update(is_finished=False)
    (group,) = groups(built(project))
    assert [one.text for one in group.candidates if not one.is_finished] == [cut.text]


def test_duplicates_are_counted_blind_to_case_and_spacing_and_stay():
    project = factories.project()
    for content in ("What is  KL?", "what is kl?", "What is DPO?"):
        comparison = judged(project, 1, content=content)
    first, second = comparison.candidates.order_by("pk")
    first.text, second.text = "A loss on  pairs.", "a loss on pairs."
    type(first).objects.bulk_update([first, second], ["text"])
    snapshot = built(project)
    assert snapshot.manifest["duplicates"] == {"prompts_alike": 2, "pairs_alike": 1}
    assert (snapshot.rows, snapshot.pairs) == (3, 3)


def test_what_was_said_under_a_criterion_goes_in_beside_the_overall_pairs():
    project = factories.project()
    Criterion.objects.create(project=project, name="concise")
    judged(project, 1)
    row = project.judgments.get()
    row.criteria = {"concise": {"ranking": row.ranking[::-1], "strengths": [1]}}
    row.save(update_fields=["criteria"])
    snapshot = built(project)
    group = groups(snapshot)[0]
    (pair,), (under,) = group.pairs, group.criterion_pairs
    assert (under.criterion, under.chosen, under.rejected) == (
        *("concise", pair.rejected, pair.chosen),
    )
    assert snapshot.manifest["counts"]["criterion_pairs"] == 1
    assert groups(built(project, criterion="concise"))[0].criterion_pairs == ()


def test_majority_gives_a_hard_label_beside_the_votes():
    project = factories.project()
    judged(project, 1, 1, -1)
    pair = groups(built(project, aggregation="majority"))[0].pairs[0]
    assert (pair.soft_label, pair.votes_rejected) == (1.0, 1.0)


def test_dawid_skene_trusts_the_labelers_who_agree_with_the_others():
    project = factories.project()
    labelers = [factories.user() for _ in range(3)]
    for _ in range(12):
        comparison = factories.comparison(factories.prompt(project), overlap=9)
        first, second = comparison.candidate_ids
        for labeler in labelers:
            factories.judgment(comparison, labeler, ranking=[[second], [first]])
    pairs = [
        pair for group in groups(built(project, aggregation="dawid_skene")) for pair in group.pairs
    ]
    assert all(pair.soft_label > 0.9 and not pair.is_tie for pair in pairs)


def test_a_tie_is_dropped_where_the_rule_says_so():
    project = factories.project()
    judged(project, 0, 0)
    judged(project, 1)
    assert built(project).pairs == 2
    assert built(project, ties="drop").pairs == 1


def test_candidates_that_most_found_bad_are_unacceptable_and_in_no_pair():
    project = factories.project()
    comparison = factories.comparison(factories.prompt(project, "bad one"), overlap=9)
    factories.judgment(comparison, is_all_bad=True)
    judged(project, 1)
    bad = next(group for group in groups(built(project)) if group.unacceptable)
    assert len(bad.unacceptable) == 2
    assert bad.pairs == ()


def test_the_same_query_over_the_same_judgments_gives_the_same_sha256():
    project = factories.project()
    for sign in (1, -1, 0, 1):
        judged(project, sign)
    first, second = built(project), built(project)
    assert first.pk != second.pk
    assert first.sha256 == second.sha256
    assert first.folder == second.folder


def test_the_order_in_which_responses_were_shown_changes_no_byte():
    project = factories.project()
    comparison = judged(project, 1, -1)
    before = built(project).sha256
    Judgment.objects.update(shown_order=comparison.candidate_ids[::-1])
    assert built(project).sha256 == before


def test_another_judgment_gives_another_sha256():
    project = factories.project()
    judged(project, 1)
    before = built(project).sha256
    judged(project, 1)
    assert built(project).sha256 != before


def test_prompts_with_the_same_last_user_turn_share_a_split():
    project = factories.project()
    for number in range(30):
        prompt = factories.prompt(project, f"filler {number}")
        turns = [{"role": "system", "content": f"Persona {number}"}]
        prompt.turns = [*turns, {"role": "user", "content": "  What is  RLHF? "[number % 2 :]}]
        prompt.save(update_fields=["turns"])
        factories.judgment(factories.comparison(prompt))
    assert len({group.split for group in groups(built(project))}) == 1


def test_splits_follow_the_shares_and_stay_when_prompts_are_added():
    project = factories.project()
    for number in range(60):
        judged(project, 1, content=f"stable {number}")
    before = {
        group.prompt_id: group.split
        for group in groups(built(project, train=0.5, validation=0.25, test=0.25))
    }
    assert {"train", "validation", "test"} == set(before.values())
    for number in range(20):
        judged(project, 1, content=f"later {number}")
    after = {
        group.prompt_id: group.split
        for group in groups(built(project, train=0.5, validation=0.25, test=0.25))
    }
    assert before.items() <= after.items()


def test_a_snapshot_freezes_the_judgments_it_holds_and_no_others():
    project, other = factories.project(), factories.project()
    judged(project, 1)
    judged(other, 1)
    built(project)
    assert project.judgments.filter(frozen_at=None).count() == 0
    assert other.judgments.filter(frozen_at=None).count() == 1


def test_a_snapshot_freezes_what_tests_labelers_too_so_that_nothing_tells_it_apart():
    project, labeler = factories.project(), factories.user()
    known = factories.comparison(factories.prompt(project), kind="gold")
    factories.judgment(known, labeler)
    asked_again = judged(project)
    factories.judgment(asked_again, labeler)
    factories.judgment(asked_again, labeler, is_repeat=True)
    judged(project, 1)
    last = factories.judgment(known)
    built(project)
    assert list(project.judgments.filter(frozen_at=None)) == [last]


def test_a_snapshot_leaves_the_tests_of_labelers_open_whose_judgments_it_leaves_out():
    project, machine = factories.project(), factories.user(kind="simulated")
    factories.judgment(factories.comparison(factories.prompt(project), kind="gold"), machine)
    judged(project, 1)
    built(project, labelers=["people"])
    assert project.judgments.get(labeler=machine).frozen_at is None


def test_judgments_that_do_not_count_stay_out():
    project = factories.project()
    comparison = judged(project, 1, -1, -1)
    Judgment.objects.filter(
        ranking=[[comparison.candidate_ids[1]], [comparison.candidate_ids[0]]]
    ).update(is_counted=False)
    assert groups(built(project))[0].pairs[0].votes_rejected == 0


def test_filters_choose_whose_judgments_go_in():
    project = factories.project()
    comparison = factories.comparison(factories.prompt(project), overlap=9)
    factories.judgment(comparison, factories.user(kind="simulated"))
    factories.judgment(comparison)
    factories.judgment(comparison, is_imported=True)
    votes = lambda kinds: groups(built(project, labelers=kinds))[0].pairs[0].votes_chosen  # noqa: E731
    assert votes(["people"]) == 1
    assert votes(["simulated", "people"]) == 2
    assert votes(["people", "imported", "simulated"]) == 3


def test_a_snapshot_without_a_usable_pair_says_what_to_do():
    project = factories.project()
    snapshot = requesting.request_snapshot(project=project, name="None", query={}, actor=None)
    with pytest.raises(InvalidInput, match="no usable pair and no demonstration: no judgment"):
        building.build_snapshot(snapshot=snapshot, progress=silent)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"colour": 1}, "knows no 'colour'"),
        ({"aggregation": "best"}, "aggregation='best' is not one of"),
        ({"labelers": []}, "labelers is empty"),
        ({"train": 0.9}, "must add up to 1"),
        ({"train": float("nan")}, "not a share"),
        ({"min_judgments": True}, "not a whole number"),
        ({"criterion": "beauty"}, "no criterion 'beauty'"),
        ({"guideline_versions": "all"}, "must be a list"),
    ],
)
def test_a_query_that_is_wrong_is_refused_with_its_key(query, message):
    with pytest.raises(InvalidInput, match=message):
        requesting.request_snapshot(
            project=factories.project(), name="Wrong", query=query, actor=None
        )


def test_the_files_of_a_snapshot_are_read_only_and_described():
    project = factories.project()
    judged(project, 1, 1)
    snapshot = built(project)
    folder = Path(snapshot.folder)
    assert [path.stat().st_mode & 0o777 for path in sorted(folder.iterdir())] == [0o444, 0o444]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["counts"]["preferences"] == 1
    assert manifest["judgments"]["count"] == 2
    assert manifest["agreement"]["percent"]["n"] == 1
    assert [path.name for path in folder.parent.glob(".incoming*")] == []


def test_the_agreement_of_a_snapshot_leaves_out_what_was_selected():
    """Two agree on the first; on a drawn one, and on one that was asked again, a second says otherwise: 1 of 1 pair."""
    project = factories.project()
    usual, drawn, again = judged(project, 1, 1), judged(project, 1, -1), judged(project, 1)
    Comparison.objects.filter(pk=drawn.pk).update(propensity=0.1)
    Comparison.objects.filter(pk=again.pk).update(asked_again_at=timezone.now())
    factories.judgment(again, ranking=[[pk] for pk in reversed(again.candidate_ids)])
    manifest = built(project).manifest
    agreement = manifest["agreement"]
    assert (agreement["percent"]["value"], agreement["percent"]["n"]) == (1.0, 1)
    assert agreement["judgments_selected"] == 3
    assert manifest["judgments"]["count"] == 6
    assert usual.judgments.count() == 2


def test_the_database_refuses_to_change_a_done_snapshot():
    project = factories.project()
    judged(project, 1)
    rows = DatasetSnapshot.objects.filter(pk=built(project).pk)
    rows.update(status="done")
    with pytest.raises(IntegrityError, match="is done"), transaction.atomic():
        rows.update(sha256="0" * 64)
    assert rows.update(name="Another name") == 1


def test_a_judgment_withdrawn_while_the_snapshot_is_built_is_not_in_it(monkeypatch):
    project = factories.project()
    judged(project, 1, 1)
    last = judged(project, 1).judgments.get()
    settle = building._settle

    def settle_late(*args: object):
        Judgment.objects.filter(pk=last.pk).update(withdrawn_at=timezone.now())
        return settle(*args)

    monkeypatch.setattr(building, "_settle", settle_late)
    snapshot = built(project)
    last.refresh_from_db()
    assert (snapshot.rows, snapshot.manifest["judgments"]["count"]) == (1, 2)
    assert last.frozen_at is None


def test_a_judgment_that_is_committed_while_the_snapshot_is_built_is_in_it(monkeypatch):
    project = factories.project()
    judged(project, 1)
    late = judged(project, 1).judgments.get()
    judged(project, 1)
    Judgment.objects.filter(pk=late.pk).update(withdrawn_at=timezone.now())  # not to be seen yet
    materials = selectors.prompt_materials

    def commit_behind_the_reader(*args, **options):
        yield from materials(*args, **options)
        Judgment.objects.filter(pk=late.pk).update(withdrawn_at=None)

    monkeypatch.setattr(selectors, "prompt_materials", commit_behind_the_reader)
    snapshot = built(project)
    assert (snapshot.rows, snapshot.manifest["judgments"]["count"]) == (3, 3)
    assert len(groups(snapshot)) == 3


def test_two_builds_of_the_same_records_at_once_share_a_folder(monkeypatch):
    project = factories.project()
    judged(project, 1)
    rename = Path.rename

    def another_was_faster(path: Path, target: Path) -> Path:
        shutil.copytree(path, target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", another_was_faster)
    assert len(groups(built(project))) == 1


def test_what_a_killed_build_left_is_swept_after_a_day(settings, tmp_path):
    settings.CONCORD_VAR = tmp_path
    old, fresh = tmp_path / "snapshots/.incoming-old", tmp_path / "snapshots/.incoming-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    project = factories.project()
    judged(project, 1)
    built(project)
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_build_that_ends_while_another_sweeps_is_no_fault(settings, tmp_path):
    settings.CONCORD_VAR = tmp_path
    gone = tmp_path / "snapshots/.incoming-gone"
    gone.parent.mkdir(parents=True)
    gone.symlink_to(tmp_path / "nowhere")  # listed, and not there when it is looked at
    project = factories.project()
    judged(project, 1)
    assert len(groups(built(project))) == 1
