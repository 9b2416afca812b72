"""A model's card: kept when its run ends, told by labeler and criterion, read as page, JSON and Markdown."""

import socket
from dataclasses import replace

import pytest
import torch
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from annotation.comparisons.models import Assignment, Batch, Comparison
from annotation.comparisons.services.batches import set_state
from annotation.comparisons.services.queue import EmptyQueue, lease_next_comparison
from annotation.core import storage
from annotation.core.errors import Conflict
from annotation.datasets.assembly import candidate_name
from annotation.evaluations.cards import origin
from annotation.evaluations.cards.markdown import as_markdown, plain
from annotation.evaluations.cards.policy import MEASURES, risks
from annotation.evaluations.cards.reward import trusted
from annotation.evaluations.cards.sections import Quote, Section, Table
from annotation.evaluations.cards.whole import measured, sections_of
from annotation.evaluations.models import ModelCard
from annotation.evaluations.services import HeldOutPair, ask_where_it_disagrees, keep_card
from annotation.projects.models import Criterion, Role
from annotation.runs.models import RunEvent
from tests import factories
from tests.unit.training.conftest import judged_group, write_groups
from tests.waiting import beside
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.spec.results import measure_title
from workers.training import execute_run

pytestmark = pytest.mark.django_db


def share(value, n=40, low=0.4, high=0.9, **more):
    return {"value": value, "interval": [low, high], "n": n, "reason": None, **more}


def reward_facts(**changes):
    change = share(0.4, low=0.2, high=0.6, name="flattery", about="It begins with praise.")
    return {
        "metrics": {
            "accuracy": share(0.68, n=600, low=0.64, high=0.72),
            "longer_wins": share(0.55),
            "ceiling": share(0.73, low=0.73, high=0.84),
            "ece_before": 0.12,
            "ece_after": 0.03,
            "temperature": 1.7,
        },
        "reliability_before": [
            {"low": 0.5, "high": 0.55, "n": 9, "predicted": 0.53, "observed": 0.5}
        ],
        "reliability_after": [
            {"low": 0.5, "high": 0.55, "n": 9, "predicted": 0.52, "observed": 0.5}
        ],
        "by_strength": [share(0.6, name="better")],
        "by_length": [share(0.3, low=0.2, high=0.4, name="preferred is shorter")],
        "probes": {
            "n": 9,
            "order": 1e-7,
            "changes": [{**change, "costs": False, "rises": 0.8, "is_suspect": True}],
        },
        **changes,
    }


@pytest.fixture
def reward(project):
    return factories.policy(project, kind="reward", name="helpful")


def judged(project, labeler, prefers_first, **fields):
    """A comparison that one labeler judged, as a held-out pair whose first candidate scores higher."""
    comparison = factories.comparison(factories.prompt(project))
    first, second = comparison.candidates.order_by("pk")
    ranking = [[first.pk], [second.pk]] if prefers_first else [[second.pk], [first.pk]]
    factories.judgment(comparison, labeler, ranking=ranking, **fields)
    names = (candidate_name(one.fingerprint) for one in (first, second))
    return HeldOutPair(comparison.prompt.fingerprint, *names, 1.5)


def test_a_card_without_calibration_says_so_in_words():
    """A dash for each of three numbers tells a reader nothing."""
    facts = reward_facts()
    metrics = facts["metrics"] | {"ece_before": None, "ece_after": None, "temperature": None}
    metrics["temperature_reason"] = "Fewer than 20 decided pairs are held out."
    section = trusted(facts, metrics)
    assert section.sentences == [
        "Its calibration error is not known.",
        "Fewer than 20 decided pairs are held out.",
    ]


def test_it_tells_how_often_the_model_sides_with_each_labeler(project, reward):
    ada, bob = factories.user(), factories.user(kind="machine")
    pairs = [judged(project, ada, prefers_first=at < 4) for at in range(5)]
    pairs += [judged(project, bob, prefers_first=True) for _ in range(4)]
    card = keep_card(version=reward, facts={}, held_out=pairs)
    assert [(one["labeler"], one["kind"], one["value"], one["n"]) for one in card.by_labeler] == [
        (ada.pk, "person", 0.8, 5)  # bob gave fewer than five
    ]


def test_it_reads_a_pair_in_whatever_order_the_record_names_it(project, reward):
    ada = factories.user()
    pairs = [judged(project, ada, prefers_first=True) for _ in range(5)]
    turned = [HeldOutPair(one.prompt, one.rejected, one.chosen, -one.difference) for one in pairs]
    card = keep_card(version=reward, facts={}, held_out=turned)
    assert card.by_labeler[0]["value"] == 1.0


def test_it_tells_how_often_the_model_sides_with_people_under_each_criterion(project, reward):
    Criterion.objects.create(project=project, name="concise")
    pairs = []
    for _ in range(2):
        pair = judged(project, factories.user(), prefers_first=True)
        row = project.judgments.order_by("-pk").first()
        row.criteria = {"concise": {"ranking": row.ranking[::-1], "strengths": [1]}}
        row.save(update_fields=["criteria"])
        pairs.append(pair)
    card = keep_card(version=reward, facts={}, held_out=pairs)
    assert [(one["name"], one["value"], one["n"]) for one in card.by_criterion] == [
        ("concise", 0.0, 2)
    ]


@pytest.fixture
def contradicted(project, engineer, reward):
    """A card whose model orders two judged pairs against people, surest of the second; a third pair is gone."""
    pairs = [judged(project, engineer, prefers_first=True) for _ in range(2)]
    Comparison.objects.update(state="judged", slots_taken=1, judgments_counted=1)
    rows = [
        {"prompt": one.prompt, "chosen": one.chosen, "rejected": one.rejected, "difference": gap}
        for one, gap in zip(reversed(pairs), (-2.5, -1.0), strict=True)
    ]
    gone = {"prompt": "0" * 64, "chosen": "a", "rejected": "b", "difference": -9.0}
    facts = reward_facts(disagreements=[gone, *rows])
    return ModelCard.objects.create(version=reward, facts=facts)


def test_where_it_disagrees_with_people_is_read_and_asked_again_by_one_button(
    project, engineer, reward, client, contradicted
):
    client.force_login(engineer)
    page = client.get(reverse("evaluations-card", args=[project.pk, reward.pk]))
    later, sooner = (
        one.candidates.order_by("pk").first().text for one in Comparison.objects.order_by("pk")
    )
    assert "The 2 held-out pairs on which it is surest" in page.text
    assert page.text.index(sooner) < page.text.index(later)
    address = reverse("evaluations-card-ask", args=[project.pk, reward.pk])
    page = client.post(address, follow=True)
    assert "2 comparisons wait for one more judgment each." in page.text
    assert "People are asked again, in the batch" in page.text
    batch = Batch.objects.get()
    assert (batch.name, batch.state) == ("Where helpful v1 disagrees with people", "open")
    for one in batch.comparisons.all():
        assert (one.state, one.slots_taken, one.overlap, one.priority) == ("open", 1, 2, 10)
    again = client.post(address)
    assert (again.status_code, Batch.objects.count()) == (409, 1)


def test_who_judged_a_pair_is_not_asked_again_and_another_is(
    project, engineer, reward, api, contradicted
):
    api.force_authenticate(engineer)
    answer = api.post(reverse("api-model-card-asking", args=[project.pk, reward.pk]))
    assert (answer.status_code, answer.json()["comparisons"]) == (201, 2)
    ada = factories.member(project, Role.LABELER, username="ada")
    project.memberships.create(user=engineer, role=Role.LABELER)
    assert isinstance(lease_next_comparison(project=project, labeler=ada), Assignment)
    assert isinstance(lease_next_comparison(project=project, labeler=engineer), EmptyQueue)


def test_gold_withdrawn_and_blind_comparisons_are_not_asked_again(
    project, engineer, reward, api, contradicted
):
    first, second = Comparison.objects.order_by("pk")
    blind = Batch.objects.create(project=project, name="Blind", made_from={"evaluation": 1})
    Comparison.objects.filter(pk=first.pk).update(batch=blind)
    Comparison.objects.filter(pk=second.pk).update(kind="gold")
    api.force_authenticate(engineer)
    address = reverse("api-model-card-asking", args=[project.pk, reward.pk])
    answer = api.post(address)
    assert answer.status_code == 409
    assert "None of the 2 comparisons can be asked again" in str(answer.json())
    assert list(Batch.objects.values_list("name", flat=True)) == ["Blind"]
    Comparison.objects.filter(pk=second.pk).update(kind="normal")
    assert api.post(address).json()["comparisons"] == 1
    assert blind.comparisons.get() == first


def test_a_closed_batch_leaves_the_card_free_to_ask_once_more(
    project, engineer, reward, client, contradicted
):
    client.force_login(engineer)
    address = reverse("evaluations-card-ask", args=[project.pk, reward.pk])
    client.post(address)
    Comparison.objects.update(state="judged", slots_taken=2, judgments_counted=2)
    set_state(batch=Batch.objects.get(), state="closed", actor=engineer)
    page = client.get(reverse("evaluations-card", args=[project.pk, reward.pk]))
    assert "Ask people again where it disagrees" in page.text
    assert client.post(address).status_code == 302
    names = list(Batch.objects.order_by("pk").values_list("name", flat=True))
    assert names[1] == f"{names[0]} (2)"
    assert list(Comparison.objects.values_list("overlap", flat=True)) == [3, 3]


@pytest.mark.django_db(transaction=True)
def test_a_double_click_opens_one_batch_and_the_second_press_is_told_so(
    project, engineer, contradicted
):
    def press():
        return ask_where_it_disagrees(card=contradicted, actor=engineer)

    with transaction.atomic():
        press()
        second = beside(press)
    with pytest.raises(Conflict, match="asked already where helpful v1 disagrees: batch"):
        second.result()


def test_a_card_without_disagreements_has_no_button(project, engineer, reward, client):
    ModelCard.objects.create(version=reward, facts=reward_facts())
    client.force_login(engineer)
    page = client.get(reverse("evaluations-card", args=[project.pk, reward.pk]))
    assert "Ask people again" not in page.text
    address = reverse("evaluations-card-ask", args=[project.pk, reward.pk])
    assert client.post(address).status_code == 409


def test_it_is_a_page_json_and_markdown(project, engineer, reward, client):
    ModelCard.objects.create(version=reward, facts=reward_facts())
    client.force_login(engineer)
    page = client.get(reverse("evaluations-card", args=[project.pk, reward.pk]))
    assert "sides with people in 68.0 % (95 % interval 64.0 to 72.0 %)" in page.text
    assert "<title>Reliability" in page.text
    text = client.get(reverse("evaluations-card-markdown", args=[project.pk, reward.pk])).text
    assert text.startswith("# helpful v1\n")
    assert "## Risks seen" in text
    found = client.get(reverse("api-model-card", args=[project.pk, reward.pk])).json()
    assert found["facts"]["metrics"]["temperature"] == 1.7


def test_the_page_of_the_model_brings_its_card(project, engineer, reward, client):
    client.force_login(engineer)
    page = reverse("registry-model", args=[project.pk, reward.pk])
    card = reverse("evaluations-card", args=[project.pk, reward.pk])
    assert card not in client.get(page).text
    assert client.get(card).status_code == 404
    ModelCard.objects.create(version=reward, facts=reward_facts())
    assert f'hx-get="{card}"' in client.get(page).text


def test_risks_are_those_that_the_figures_show(project, reward):
    card = ModelCard.objects.create(version=reward, facts=reward_facts())
    told = " ".join(next(one for one in sections_of(reward, card) if one.key == "risks").bullets)
    assert "Where “preferred is shorter”, it sides against people" in told
    assert "Probe “flattery” is suspect" in told
    card.facts = reward_facts(by_length=[], probes={})
    quiet = next(one for one in sections_of(reward, card) if one.key == "risks")
    assert (quiet.bullets, quiet.sentences) == (
        [],
        [
            (
                "None of the checks made fired: it beats length, it is no better than people usually leave "
                "room for, its confidence holds, no slice sides against people."
            )
        ],
    )


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({}, "No check was made: too little was measured."),
        ({"accuracy": {"value": None, "n": 0}}, "No check was made: too little was measured."),
        ({"ece_after": 0.02}, "None of the checks made fired: its confidence holds."),
        (
            {"accuracy": share(0.9, n=600, low=0.88, high=0.92), "longer_wins": share(0.5)},
            "None of the checks made fired: it beats length.",
        ),
    ],
)
def test_a_reward_models_card_without_a_risk_names_what_was_looked_at_alone(reward, metrics, said):
    card = ModelCard.objects.create(version=reward, facts={"metrics": metrics})
    quiet = next(one for one in sections_of(reward, card) if one.key == "risks")
    assert (quiet.bullets, quiet.sentences) == ([], [said])


def test_too_good_to_be_true_is_a_risk(project, reward):
    facts = reward_facts(by_length=[], probes={})
    facts["metrics"]["accuracy"] = share(0.97, n=60, low=0.9, high=0.99)
    card = ModelCard.objects.create(version=reward, facts=facts)
    risks = next(one for one in sections_of(reward, card) if one.key == "risks")
    assert "look for a leak" in risks.bullets[0]


def test_the_card_of_a_policy_says_why_and_what_moved(project):
    lineage = {"run": 7, "spec": {"kind": "ppo", "seed": 17}, "snapshot": {"name": "First"}}
    version = factories.policy(project, lineage=lineage)
    metrics = {
        "reward_gain": 0.4,
        "interval": [-0.1, 0.9],
        "n": 12,
        "kl": 3.1,
        "length_before": 20.0,
        "length_after": 40.0,
    }
    card = ModelCard.objects.create(version=version, facts={"metrics": metrics})
    sections = {one.key: one for one in sections_of(version, card)}
    assert "The KL leash" in sections["why"].sentences[1]
    assert ("Score gained on held-out prompts", "0.4", "−0.1 to 0.9", "12") in (
        sections["learned"].tables[0].rows
    )
    told = " ".join(sections["risks"].bullets)
    assert "Answers grew longer, by a factor of 2.00" in told
    assert "cannot be told from none" in told


def test_a_guard_that_spoke_at_every_update_is_one_line_on_the_card(project):
    version = factories.policy(project)
    run = factories.training_run(project, kind="ppo", model_version=version)
    for step in range(1, 31):
        for name, action in (("length", "warn"), ("kl", "stop" if step == 30 else "warn")):
            data = {"name": name, "action": action, "message": f"{name} at {step}."}
            RunEvent.objects.create(run=run, kind="guard", step=step, at=now(), data=data)
    assert risks(version, {}).bullets == [
        "A guard stopped the run at step 30: kl at 30.",
        "30 times from step 1 to 30, at last: length at 30.",
        "29 times from step 1 to 29, at last: kl at 29.",
    ]


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({}, "how length, perplexity and diversity moved was not measured."),
        ({"perplexity": 9.0}, "in the policy it began with: perplexity."),
        ({"length": 20.0, "distinct": 0.9}, "in the policy it began with: length, diversity."),
    ],
)
def test_a_card_without_a_risk_names_what_was_looked_at_alone(project, measured, said):
    metrics = {f"{name}_{when}": n for name, n in measured.items() for when in ("before", "after")}
    assert risks(factories.policy(project), metrics).sentences[0].endswith(said)


@pytest.fixture
def rewarded(project, reward):
    """A policy that PPO made of a fine-tuned one, taught by the reward model."""
    ModelCard.objects.create(version=reward, facts=reward_facts())
    tuned = factories.policy(project, name="tuned", lineage={"run": 3, "spec": {"kind": "sft"}})
    lineage = {
        "run": 7,
        "spec": {"kind": "ppo"},
        "reward_model": {"id": reward.pk, "name": "helpful", "number": 1},
    }
    version = factories.policy(project, parent=tuned, lineage=lineage)
    ModelCard.objects.create(version=version, facts={"metrics": {"kl": 3.1}})
    return version


def test_the_card_of_a_policy_tells_what_its_reward_learned(rewarded):
    sections = {one.key: one for one in sections_of(rewarded, rewarded.card)}
    told = " ".join(sections["teacher"].sentences)
    assert "helpful v1" in told
    assert "it sides with people in 68.0 %" in told
    assert "Expected calibration error 0.12" in told
    assert any("Probe “flattery” is suspect" in one for one in sections["teacher"].bullets)


def test_the_stages_of_a_card_begin_at_the_first_ancestor(rewarded):
    rows = origin.stage_rows(rewarded)
    assert rows[0] == ("Supervised fine-tuning, before", "run 3, which made tuned v1")


def test_a_card_explains_the_figures_that_it_shows_and_no_others(project, rewarded, reward):
    def explained(version):
        sections = {one.key: one for one in sections_of(version, version.card)}
        return {row[0] for row in sections["measured"].tables[0].rows}

    assert {"KL", "The longer wins", "Expected calibration error"} <= explained(rewarded)
    assert not {"Perplexity", "Win rate by people", "Probes"} & explained(rewarded)
    assert "Probes" in explained(reward)
    assert "KL" not in explained(reward)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_of_a_policys_card_is_explained(name):
    table = Table(head=(), rows=[(measure_title(name),)])
    assert measured([Section(title="", key="learned", tables=[table])]) is not None


def test_a_card_explains_by_how_much_its_model_disagrees(reward, contradicted):
    told = {one.key: one for one in sections_of(reward, contradicted)}["measured"]
    assert "By how much it disagrees" in {row[0] for row in told.tables[0].rows}


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"simulated": 9}, "as simulated labelers."),
        ({"simulated": 9, "machine": 2}, "as simulated labelers and machine judges."),
        ({"simulated": 9, "people": 1}, ""),
        ({"imported": 5}, ""),
        ({}, ""),
    ],
)
def test_a_card_says_whom_it_means_by_people_where_no_person_judged(project, kinds, said):
    lineage = {"run": 7, "spec": {"kind": "dpo"}, "judgments_by_kind": kinds}
    version = factories.policy(project, lineage=lineage)
    told = " ".join(origin.stages(version).sentences)
    assert (f"read “people” in this card {said}" in told) if said else ("No person" not in told)


LESS = "teaches less."
AS_MUCH = "teaches as much as one that they agree on."
NO_PAIRS = "The training was given no pairs"


@pytest.mark.parametrize(
    ("spec", "query", "said", "unsaid"),
    [
        ({"kind": "reward_model"}, {}, ["given the votes, not a verdict", LESS], AS_MUCH),
        (
            {"kind": "reward_model", "use_soft_labels": False},
            {},
            ["given the verdict, not the votes", AS_MUCH],
            LESS,
        ),
        (
            {"kind": "reward_model", "objective": "plackett_luce", "use_soft_labels": False},
            {},
            ["given the ranking, not the votes", AS_MUCH],
            LESS,
        ),
        (
            {"kind": "reward_model"},
            {"aggregation": "dawid_skene"},
            ["how reliable each labeler was", LESS],
            "given the votes",
        ),
        (
            {"kind": "reward_model"},
            {"aggregation": "majority"},
            ["made a verdict of the votes", AS_MUCH],
            LESS,
        ),
        ({"kind": "dpo"}, {}, ["given the verdict, not the votes", AS_MUCH], LESS),
        ({"kind": "dpo", "use_soft_labels": True}, {}, ["given the votes", LESS], AS_MUCH),
        ({"kind": "sft"}, {}, [NO_PAIRS, "imitates"], "people are split"),
        ({"kind": "kto"}, {}, [NO_PAIRS, "single responses"], "people are split"),
        ({"kind": "ppo"}, {}, [NO_PAIRS, "its own answers."], "imitates"),
        (
            {"kind": "ppo", "ptx_weight": 1.0},
            {},
            [NO_PAIRS, "which it imitates"],
            "people are split",
        ),
        ({"kind": "grpo"}, {}, [NO_PAIRS, "its own answers"], "people are split"),
        ({"kind": "of another time"}, {}, ["preferred with 3 for it"], "given"),
    ],
)
def test_the_pair_of_a_card_comes_with_what_its_training_made_of_pairs(
    project, tmp_path, spec, query, said, unsaid
):
    write_groups(tmp_path / "data", [judged_group(0)])
    snapshot = factories.snapshot(project, folder=str(tmp_path / "data"), query=query)
    lineage = {"run": 7, "spec": spec, "snapshot": {"id": snapshot.pk}}
    told = " ".join(origin.example_pair(factories.policy(project, lineage=lineage)).sentences)
    assert [part for part in said if part not in told] == []
    assert unsaid not in told


def test_an_edit_and_its_original_are_told_without_votes(project, tmp_path):
    group = judged_group(0)
    edit = replace(group, pairs=(replace(group.pairs[0], source="edit", votes_chosen=1.0),))
    write_groups(tmp_path / "data", [edit])
    snapshot = factories.snapshot(project, folder=str(tmp_path / "data"))
    lineage = {"run": 7, "spec": {"kind": "dpo"}, "snapshot": {"id": snapshot.pk}}
    told = origin.example_pair(factories.policy(project, lineage=lineage)).sentences[0]
    assert told.endswith("an edit and its original, which nobody compared.")


def trained(project, algorithm, query, **more):
    """A version that a run of this algorithm made of a snapshot with this query."""
    snapshot = {"id": factories.snapshot(project, query=query).pk}
    told = {"run": 7, "spec": {"kind": algorithm}, "snapshot": snapshot, **more.pop("lineage", {})}
    return factories.policy(project, lineage=told, **more)


def moved(version):
    """What the card says of the measures of a version."""
    card = ModelCard.objects.create(version=version, facts={"metrics": {"kl": 3.1}})
    found = {one.key: one for one in sections_of(version, card)}
    return " ".join(found["learned"].sentences)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({}, "this run’s snapshot, and of those of the models that it began with"),
        ({"train": 0.7, "validation": 0.2}, "this run’s snapshot, and of those of"),
        ({"train": 0.9, "validation": 0.0}, "may have been trained on some of them."),
        ({"seed": 18}, "may have been trained on some of them."),
    ],
)
def test_a_card_says_held_out_of_what_is_known_to_have_held_it_out(project, before, said):
    """The same seed and no more for training: what is held out here was held out there."""
    teacher = trained(project, "reward_model", before, kind="reward")
    taught = {"reward_model": {"id": teacher.pk, "name": "r", "number": 1}}
    assert said in moved(trained(project, "ppo", {}, lineage=taught))
    start = trained(project, "sft", before, name="tuned")
    assert said in moved(trained(project, "dpo", {}, parent=start))


def test_a_card_claims_no_more_where_nothing_else_was_trained_or_a_snapshot_is_gone(project):
    alone = trained(project, "sft", {}, parent=factories.policy(project))
    assert moved(alone) == "Measured on prompts held out of this run’s snapshot."
    gone = trained(project, "sft", {}, lineage={"snapshot": {"id": 0}})
    assert "may have been trained" in moved(trained(project, "dpo", {}, parent=gone))


@pytest.mark.parametrize("kind", ["sft", "dpo", "kto", "ppo", "grpo"])
def test_a_card_speaks_of_scores_only_where_a_reward_model_gave_some(project, reward, kind):
    taught = {"reward_model": {"id": reward.pk, "name": "helpful", "number": 1}}
    has_teacher = {"ppo": taught, "grpo": taught}.get(kind, {})
    told = moved(trained(project, kind, {}, lineage=has_teacher))
    assert ("Scores are the reward model’s" in told) == bool(has_teacher)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"kind": "ppo"}, "The KL leash"),
        ({"kind": "ppo", "kl_coefficient": 0.0}, "There is no KL leash"),
        ({"kind": "grpo", "kl_coefficient": 0.0}, "There is no KL leash"),
        ({"kind": "sft"}, "that people wrote or preferred."),
        ({"kind": "sft", "include_chosen": False}, "that people wrote."),
    ],
)
def test_a_card_says_why_by_the_settings_of_its_run(project, spec, said):
    version = factories.policy(project, lineage={"run": 7, "spec": spec})
    card = ModelCard.objects.create(version=version, facts={})
    why = next(one for one in sections_of(version, card) if one.key == "why")
    assert said in " ".join(why.sentences)


def test_what_people_wrote_stays_text_in_markdown():
    hostile = "```\n# Not a title\n<script>alert(1)</script>"
    section = Section(title="A pair", key="pair", quotes=[Quote(label="Said", text=hostile)])
    lines = as_markdown("<b>name</b>", [section]).splitlines()
    assert lines[0] == "# \\<b>name\\</b>"
    assert lines[-1] == "````"
    assert plain("a_b [c](d)\n|") == "a\\_b \\[c\\](d) |"


def test_an_unknown_model_has_no_card(project, engineer, client):
    client.force_login(engineer)
    other = factories.policy(factories.project())
    ModelCard.objects.create(version=other, facts={})
    assert client.get(reverse("evaluations-card", args=[project.pk, other.pk])).status_code == 404


def test_a_reward_models_run_leaves_a_card_with_an_example_of_its_pairs(
    project, engineer, settings, tmp_path, client
):
    settings.CONCORD_VAR, settings.CONCORD_LEASE_SECONDS = tmp_path, 3600
    tiny_llama().save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    write_groups(tmp_path / "data", [judged_group(number) for number in range(48)])
    run = factories.training_run(
        project,
        spec={"kind": "reward_model", "max_steps": 2},
        snapshot=factories.snapshot(project, folder=str(tmp_path / "data")),
        base_model=factories.policy(project, location=str(tmp_path / "tiny")),
    )
    execute_run(run.pk)
    run.refresh_from_db()
    assert run.error == ""
    version = run.model_version
    assert version.sha256 == storage.sha256_of(version.location)
    card = ModelCard.objects.get(version=version)
    assert card.facts["pairs"] == 32  # two steps of 16 prompts, so as many held-out ones
    assert {row["name"] for row in card.facts["by_split"]} == {"validation", "test"}
    text = as_markdown("x", sections_of(version, card))
    assert "very good 0" in text
    assert f"host {socket.gethostname()}, torch {torch.__version__}" in text
