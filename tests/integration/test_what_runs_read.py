"""What a run learns from, told before it starts and on its page: counts of KTO, what was cut, what is left out."""

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services import building, requesting
from annotation.projects.models import Project, Role
from annotation.prompts.models import Prompt
from annotation.runs import estimates
from annotation.runs.models import RunEvent
from annotation.runs.records import fates_of, held_out_fates_of
from annotation.runs.serializers import RunEstimateSerializer
from annotation.runs.verdicts import Verdicts, imbalance, verdicts_in
from tests import factories
from training.spec.results import MEASURES

pytestmark = pytest.mark.django_db
KTO = {"kind": "kto", "epochs": 1.0, "groups_per_step": 4}


@pytest.fixture
def snapshot(project) -> DatasetSnapshot:
    """All prompts to train on: 12 won pairs (one prompt has a tie besides), 2 all bad, 3 ties."""
    for _ in range(12):
        judged(project)
    tied(project.prompts.first())
    for _ in range(2):
        judged(project, is_all_bad=True)
    for _ in range(3):
        tied(factories.prompt(project))
    row = requesting.request_snapshot(
        project=project,
        name="All",
        query={"train": 1.0, "validation": 0.0, "test": 0.0},
        actor=None,
    )
    built = building.build_snapshot(snapshot=row, progress=lambda *_: None)
    built.status = DatasetSnapshot.Status.DONE
    built.save(update_fields=["status"])
    return built


def tied(prompt: Prompt) -> None:
    comparison = factories.comparison(prompt)
    factories.judgment(comparison, ranking=[comparison.candidate_ids])


def judged(project: Project, **verdict: object) -> None:
    factories.judgment(factories.comparison(factories.prompt(project)), **verdict)


def test_the_manifest_counts_what_kto_would_read(snapshot):
    assert snapshot.manifest["verdicts_by_split"]["train"] == {
        "desirable": 12,
        "undesirable": 12 + 4,
        "undecided": 2,
        "prompts": 14,
        "prompts_without": 3,
    }


def test_the_estimate_goes_by_prompts_with_a_verdict_and_tells_the_rest(project, snapshot):
    found = estimates.estimate(
        kind="kto",
        spec=KTO,
        snapshot=snapshot,
        base_model=factories.policy(project),
        reward_model=None,
    )
    assert (found.rows, found.steps) == (14, 4)
    assert found.verdicts == verdicts_in(snapshot)
    assert RunEstimateSerializer.facts(found)["verdicts"]["prompts_without"] == 3
    assert "over undesirable responses is 0.75" in found.why[1]
    assert estimates.rows_of(17, 14, limit=10) == 8  # 14 of 17 prompts have a verdict


@pytest.mark.parametrize(
    ("kind", "spec", "rows"),
    [
        ("sft", {}, 12),
        ("sft", {"include_chosen": False}, 0),
        ("dpo", {}, 12),
        ("reward_model", {"ties": "drop"}, 12),
        ("reward_model", {"ties": "half"}, 15),
    ],
)
def test_the_estimate_goes_by_the_prompts_in_which_a_run_finds_something(
    kind, spec, rows, project, snapshot
):
    """Of 17 prompts 12 have a decided pair, 3 more a tie; nobody wrote a demonstration."""
    found = estimates.estimate(
        kind=kind,
        spec={"epochs": 1.0, "groups_per_step": 4, **spec},
        snapshot=snapshot,
        base_model=factories.policy(project),
        reward_model=None,
    )
    assert found.rows == rows
    assert any(one.startswith(f"{17 - rows} of the 17 prompts") for one in found.why)


def test_form_and_page_tell_what_is_learned_from_and_what_is_left_out(project, snapshot, client):
    client.force_login(factories.member(project, Role.ENGINEER))
    factories.policy(project)
    left_out = "3 prompts, and 2 responses to others"
    form = client.get(reverse("runs-new", args=[project.pk]), {"kind": "kto"}).text
    assert "12 + 16" in form
    assert left_out in form
    run = factories.training_run(project, kind="kto", spec=KTO, snapshot=snapshot)
    page = client.get(reverse("runs-detail", args=[project.pk, run.pk])).text
    assert "12 desirable and 16 undesirable responses to 14 prompts of the training split" in page
    assert left_out in page
    shown = client.get(reverse("datasets-snapshot", args=[project.pk, snapshot.pk])).text
    assert "12 desirable and 16 undesirable responses to 14 prompts; 3 prompts without" in shown


def test_a_snapshot_from_before_these_counts_is_estimated_by_its_prompts(project):
    old = factories.snapshot(project, splits={"train": 20})
    assert verdicts_in(old) is None
    found = estimates.estimate(
        kind="kto", spec=KTO, snapshot=old, base_model=factories.policy(project), reward_model=None
    )
    assert (found.rows, found.verdicts) == (20, None)


def counted(desirable: int, undesirable: int) -> Verdicts:
    return Verdicts(desirable, undesirable, 0, 10, 0, desirable, undesirable)


def test_weights_that_do_not_make_up_for_the_numbers_are_told_with_those_that_would():
    """54 * 1 / (72 * 1) = 0.75: 1 is reached with a weight of 72 / 54 = 1.33, 4/3 with 1.78."""
    told = imbalance(counted(54, 72), {})
    assert "is 0.75; the paper advises 1 to 1.33: a desirable_weight of 1.33 to 1.78" in told
    assert imbalance(counted(54, 72), {"desirable_weight": 1.5}) == ""
    assert imbalance(counted(0, 72), {}) == ""


def test_a_run_tells_what_it_learned_from_as_soon_as_it_has_read_it(project, client):
    client.force_login(factories.member(project, Role.ENGINEER))
    run = factories.training_run(project, kind="dpo", spec={"kind": "dpo"}, status="running")
    told = {"message": "The training pairs are read.", "pairs_used": 1054, "ties_dropped": 11}
    later = {"message": "The held-out pairs are read.", "pairs_used": 32}
    for one in (told, later):
        RunEvent.objects.create(run=run, kind="log", at=timezone.now(), data=one)
    assert fates_of(run) == [("Learned from", ["1,054 pairs"]), ("Left out", ["11 ties"])]
    run.result = {"metrics": {"records": {"prompts_without_a_pair": 1, "ties_dropped": 1}}}
    left_out = ["1 prompt without a pair to learn from", "1 tie"]
    assert fates_of(run) == [("Left out", left_out)]
    page = client.get(reverse("runs-detail", args=[project.pk, run.pk])).text
    assert "What it learned from" in page


def test_a_run_tells_what_it_was_measured_on(project, client):
    client.force_login(factories.member(project, Role.ENGINEER))
    counted = {
        "pairs": {"pairs_used": 6, "responses_cut": 3, "pairs_equal_after_cut": 1},
        "answers": {"prompts_used": 4, "responses_scored_in_part": 1, "prompts_lost": 2},
        "responses": {"responses_used": 4, "prompts_not_measured": 9},
    }
    metrics = {"records": {"pairs_used": 12}, "held_out_records": counted}
    run = factories.training_run(
        project, kind="dpo", spec={"kind": "dpo"}, status="done", result={"metrics": metrics}
    )
    cut = "responses at max_response_tokens, or at what the model has positions for"
    assert held_out_fates_of(run) == [
        ("Pairs", ["6 pairs", f"cut: 3 {cut}", "left out: 1 pair of equal text after the cut"]),
        (
            "Responses",
            [
                "4 responses to imitate",
                "left out: 9 prompts beyond those that max_steps takes",
            ],
        ),
        (
            "Prompts",
            [
                "4 prompts that were answered",
                "cut: 1 answer that the reward model reads in part",
                "2 prompts lost",
            ],
        ),
    ]
    page = client.get(reverse("runs-detail", args=[project.pk, run.pk]))
    assert "What it was measured on" in page.text
    assert "left out: 9 prompts beyond those that max_steps takes" in page.text
    assert not page.context["results"]


def test_the_result_begins_with_what_the_kind_is_judged_by_and_counts_records_apart(
    project, client
):
    client.force_login(factories.member(project, Role.ENGINEER))
    metrics = {
        "ceiling": {"value": 0.9, "interval": [0.8, 1.0], "n": 9},
        "accuracy": {"value": 0.7, "interval": [0.6, 0.8], "n": 9},
        "records": {"good_responses": 54, "responses_lost": 2},
    }
    result = {"metrics": metrics, "peak_memory_mb": 542.9}
    machine = {"device": "CPU", "host": "here", "torch": "2", "bfloat16": True}
    run = factories.training_run(
        project, kind="kto", spec=KTO, status="done", result=result, machine=machine
    )
    page = client.get(reverse("runs-detail", args=[project.pk, run.pk]))
    titles = [MEASURES[name] for name in ("accuracy", "ceiling")]
    assert [row.name for row in page.context["results"]] == titles
    assert fates_of(run) == [
        ("Learned from", ["54 desirable responses"]),
        ("Counted besides", ["2 responses lost"]),
    ]
    assert "at most 543 MB of memory" in page.text
