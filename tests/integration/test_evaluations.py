"""Two policies compared blind: held-out prompts, one vote each, an interval that stops it, a reward model beside."""

from math import log, sqrt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.comparisons.models import Comparison
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.query import SnapshotQuery
from annotation.evaluations import services
from annotation.evaluations.evidence import diversity, evidence_of, goodhart, scored
from annotation.evaluations.models import Evaluation, ModelCard, RewardComparison
from annotation.evaluations.selectors import answers_of, evaluation_in, held_out_prompts
from annotation.generation.models import Candidate, GenerationRun, PromptOutcome
from annotation.generation.selectors import wanted
from annotation.generation.services import Response, store_candidates
from annotation.projects.models import Role
from annotation.prompts.models import Prompt
from annotation.registry.models import ModelVersion
from annotation.runs.models import RunEvent
from tests import factories
from training.models.reward import new_reward_model, save_reward_model
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.runtime.device import pick_device
from training.spec.records import Turn
from training.spec.splits import split_key
from workers.evaluations import score_evaluation
from workers.generators.base import GeneratorFailed

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    project = factories.project()
    for number in range(30):
        factories.prompt(project, f"Question {number}?")
    return project


@pytest.fixture
def engineer(project):
    return factories.member(project, Role.ENGINEER, username="eve")


@pytest.fixture
def policies(project):
    return [factories.policy(project, name=name) for name in ("after", "before")]


def started(project, engineer, policies, **options):
    policy, baseline = policies
    row = services.start_evaluation(
        project=project, policy=policy, baseline=baseline, actor=engineer, **options
    )
    return evaluation_in(project, row.pk)


def answered(row, *, ours="better {}", theirs="worse {}"):
    """As the gpu worker leaves it: both policies have answered every prompt."""
    for run, text in ((row.generation, ours), (row.baseline_generation, theirs)):
        for prompt in wanted(run):
            store_candidates(
                run=run, prompt=prompt, responses=[Response(text=text.format(prompt.pk))]
            )
        GenerationRun.objects.filter(pk=run.pk).update(status="done")
    services.advance_evaluations()
    return evaluation_in(row.project, row.pk)


def vote(row, wins, *, out_of, labeler=None):
    """Votes for the policy in ``wins`` of the open comparisons, for the baseline in the rest."""
    ours = {policy.pk for policy, _ in answers_of(row).values()}
    comparisons = row.batch.comparisons.filter(state="open").order_by("pk")[:out_of]
    for place, comparison in enumerate(comparisons):
        best = next(pk for pk in comparison.candidate_ids if (pk in ours) == (place < wins))
        other = next(pk for pk in comparison.candidate_ids if pk != best)
        factories.judgment(comparison, labeler, ranking=[[best], [other]])
        Comparison.objects.filter(pk=comparison.pk).update(
            state="judged", judgments_counted=1, slots_taken=1
        )


def test_both_policies_are_asked_the_same_prompts_once(project, engineer, policies):
    row = started(project, engineer, policies, prompts=5)
    assert row.generation.prompt_ids == row.baseline_generation.prompt_ids
    assert (row.prompts, wanted(row.generation).count(), row.generation.per_prompt) == (5, 5, 1)
    assert not row.generation.pair_after


def test_votes_of_simulated_labelers_are_told_apart(project, engineer, policies, client):
    row = answered(started(project, engineer, policies, prompts=6))
    vote(row, 2, out_of=2, labeler=factories.user(kind="simulated"))
    vote(row, 1, out_of=1)
    assert evidence_of(row).simulated == 2
    client.force_login(engineer)
    page = client.get(reverse("evaluations-detail", args=[project.pk, row.pk]))
    assert "2 of these votes come from simulated labelers" in page.text


def test_prompts_that_either_was_trained_on_are_left_out(project, policies):
    snapshot = factories.snapshot(project, query=SnapshotQuery().as_json())
    policy, baseline = policies
    policy.lineage = {"snapshot": {"id": snapshot.pk}}
    child = factories.policy(project, parent=policy)
    found = set(held_out_prompts(project, (child, baseline), most=100))
    for prompt in Prompt.objects.filter(project=project):
        turns = [Turn(**one) for one in prompt.turns]
        is_train = SnapshotQuery().split_of(split_key(turns)) == "train"
        assert (prompt.pk in found) is not is_train or policy.lineage == {}
    policy.save()
    held_out = set(held_out_prompts(project, (child, baseline), most=100))
    assert 0 < len(held_out) < 30


def trained_on_everything(project, **fields):
    query = SnapshotQuery(train=1.0, validation=0.0, test=0.0)
    snapshot = factories.snapshot(project, query=query.as_json())
    lineage = {"snapshot": {"id": snapshot.pk}}
    return factories.policy(project, lineage=lineage, **fields)


def test_prompts_that_a_teacher_was_trained_on_are_left_out(project, policies):
    teacher = factories.policy(
        project, kind="reward", parent=trained_on_everything(project, name="base")
    )
    policy, baseline = policies
    policy.lineage = {"reward_model": {"id": teacher.pk}}
    policy.save()
    child = factories.policy(project, parent=policy)
    assert held_out_prompts(project, (child, baseline), most=100) == []


def test_prompts_that_the_reward_model_which_scores_was_trained_on_are_left_out(
    project, engineer, policies
):
    reward = trained_on_everything(project, kind="reward")
    with pytest.raises(Conflict, match="the reward model"):
        started(project, engineer, policies, reward_model=reward)


def test_the_answers_become_comparisons_of_one_vote_each_in_one_batch(project, engineer, policies):
    row = answered(started(project, engineer, policies, prompts=6))
    assert row.state == "comparing"
    assert row.batch.comparisons.count() == 6
    assert set(row.batch.comparisons.values_list("overlap", flat=True)) == {1}
    services.advance_evaluations()
    assert row.batch.comparisons.count() == 6


def test_it_waits_for_both_policies(project, engineer, policies):
    row = started(project, engineer, policies)
    GenerationRun.objects.filter(pk=row.generation_id).update(status="done")
    assert services.advance_evaluations() == 0


def test_it_is_stopped_by_the_interval_that_holds_at_every_look(project, engineer, policies):
    """14 of 14 exclude one half; the other comparisons are asked no longer."""
    row = answered(started(project, engineer, policies))
    vote(row, 6, out_of=6)
    assert services.advance_evaluations() == 0
    vote(row, 8, out_of=8)
    services.advance_evaluations()
    row = evaluation_in(project, row.pk)
    assert (row.state, row.batch.state) == ("decided", "closed")
    assert evidence_of(row).win_rate.value == 1.0
    assert row.batch.comparisons.filter(state="open").count() == 0


def test_when_every_vote_is_in_and_one_half_is_possible_it_is_undecided(
    project, engineer, policies
):
    row = answered(started(project, engineer, policies, prompts=8))
    vote(row, 4, out_of=8)
    services.advance_evaluations()
    assert evaluation_in(project, row.pk).state == "undecided"


def test_an_evaluation_does_not_wait_for_what_became_gold(project, engineer, policies):
    row = answered(started(project, engineer, policies, prompts=8))
    vote(row, 4, out_of=7)
    assert services.advance_evaluations() == 0
    row.batch.comparisons.filter(state="open").update(kind="gold")
    services.advance_evaluations()
    assert evaluation_in(project, row.pk).state == "undecided"


def test_ties_all_bad_and_machine_judges_are_in_no_rate(project, engineer, policies):
    row = answered(started(project, engineer, policies, prompts=5))
    first, second, *_ = row.batch.comparisons.order_by("pk")
    factories.judgment(first, ranking=[first.candidate_ids])
    factories.judgment(second, is_all_bad=True)
    Comparison.objects.filter(pk__in=[first.pk, second.pk]).update(state="judged")
    vote(row, 1, out_of=1, labeler=factories.user(kind="machine"))
    vote(row, 1, out_of=2)
    found = evidence_of(row)
    assert (found.ties, found.all_bad, found.win_rate.n, found.win_rate.value) == (1, 1, 2, 0.5)
    assert [step.votes for step in found.path] == [1, 2]


def test_a_policy_that_fails_to_answer_ends_it_with_the_reason(project, engineer, policies):
    row = started(project, engineer, policies)
    GenerationRun.objects.filter(pk=row.generation_id).update(status="failed", error="No weights.")
    services.advance_evaluations()
    row = evaluation_in(project, row.pk)
    assert (row.state, row.error) == ("failed", "after v1 gave no answers: No weights.")


def test_the_page_says_that_both_policies_wait(project, engineer, policies, client):
    row = started(project, engineer, policies)
    client.force_login(engineer)
    address = reverse("evaluations-detail", args=[project.pk, row.pk])
    page = client.get(address).text
    assert "It waits for a gpu worker." in page
    assert "Both policies are to answer" in page
    type(row.generation).objects.filter(pk=row.generation_id).update(status="running")
    assert "waits for a gpu worker" not in client.get(address).text


def test_it_can_be_stopped_once(project, engineer, policies):
    row = answered(started(project, engineer, policies))
    services.stop_evaluation(row=row, actor=engineer)
    assert evaluation_in(project, row.pk).batch.state == "closed"
    with pytest.raises(Conflict, match="is stopped already"):
        services.stop_evaluation(row=evaluation_in(project, row.pk), actor=engineer)


def test_what_is_stopped_is_scored_no_more(project, engineer, policies):
    reward = factories.policy(project, kind="reward", location="/reward")
    row = answered(started(project, engineer, policies, reward_model=reward))
    assert RewardComparison.objects.get().status == "queued"
    services.stop_evaluation(row=row, actor=engineer)
    assert RewardComparison.objects.get().status == "cancelled"


def test_where_one_policy_fails_the_other_is_asked_no_more(project, engineer, policies):
    row = started(project, engineer, policies)
    GenerationRun.objects.filter(pk=row.generation_id).update(status="failed", error="No weights.")
    services.advance_evaluations()
    assert evaluation_in(project, row.pk).baseline_generation.status == "cancelled"


def test_what_people_decided_early_is_scored_all_the_same(project, engineer, policies):
    reward = factories.policy(project, kind="reward", location="/reward")
    row = answered(started(project, engineer, policies, reward_model=reward))
    vote(row, 14, out_of=14)
    services.advance_evaluations()
    assert evaluation_in(project, row.pk).state == "decided"
    assert RewardComparison.objects.get().status == "queued"


def test_what_cannot_be_compared_is_refused_at_its_field(project, engineer, policies):
    policy, baseline = policies
    for field, options in {
        "baseline": {"policies": [policy, policy]},
        "policy": {"policies": [factories.policy(factories.project()), baseline]},
        "reward_model": {"policies": policies, "is_judged": False},
        "prompts": {"policies": policies, "prompts": 0},
    }.items():
        with pytest.raises(InvalidInput) as refused:
            started(project, engineer, **options)
        assert refused.value.field == field
    assert not Evaluation.objects.exists()


def test_a_reward_model_scores_the_same_answers(project, engineer, policies, settings, tmp_path):
    settings.CONCORD_VAR, settings.CONCORD_LEASE_SECONDS = tmp_path, 3600
    tiny_llama().save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    made = new_reward_model(
        str(tmp_path / "tiny"), precision="float32", device=pick_device(), seed=1
    )
    (tmp_path / "reward").mkdir()
    save_reward_model(made, tmp_path / "reward")
    reward = factories.policy(project, kind="reward", location=str(tmp_path / "reward"))
    row = started(project, engineer, policies, prompts=3, is_judged=False, reward_model=reward)
    answered(row)
    scoring = RewardComparison.objects.get()
    assert scoring.status == "queued"
    score_evaluation(scoring.pk)
    scoring.refresh_from_db()
    assert (scoring.status, scoring.error, len(scoring.scores)) == ("done", "", 6)
    services.advance_evaluations()
    row = evaluation_in(project, row.pk)
    assert (row.state, scored(row).win_rate.n) == ("undecided", 3)


def test_prompts_and_answers_that_were_not_read_whole_are_counted(
    project, engineer, policies, client, api
):
    reward = factories.policy(project, kind="reward", location="/reward")
    row = started(project, engineer, policies, prompts=3, is_judged=False, reward_model=reward)
    row = answered(row)
    first = row.generation.outcomes.order_by("pk")[:2]
    PromptOutcome.objects.filter(pk__in=[one.pk for one in first]).update(prompt_tokens_cut=5)
    keys = [str(one.pk) for pair in answers_of(row).values() for one in pair]
    scores = RewardComparison.objects.get()
    services.store_scores(pk=scores.pk, scores=dict.fromkeys(keys[:4], 0.5), truncated=keys[:1])
    services.store_scores(pk=scores.pk, scores=dict.fromkeys(keys[4:], 0.5), truncated=keys[5:])
    client.force_login(engineer)
    page = client.get(reverse("evaluations-detail", args=[project.pk, row.pk])).text
    assert f"2 prompts are longer than {row.policy} reads" in page
    assert f"longer than {row.baseline} reads" not in page
    assert "2 answers were scored in part" in page
    api.force_authenticate(engineer)
    told = api.get(reverse("api-evaluation-detail", args=[project.pk, row.pk])).data
    assert told["prompts_cut"] == {"policy": 2, "baseline": 0}
    assert told["reward"]["scored_in_part"] == 2


def test_the_reward_model_is_told_which_answers_were_cut(project, engineer, policies, monkeypatch):
    reward = factories.policy(project, kind="reward", location="/reward")
    row = started(project, engineer, policies, prompts=2, is_judged=False, reward_model=reward)
    answered(row)
    cut = Candidate.objects.order_by("pk").first()
    Candidate.objects.filter(pk=cut.pk).update(is_finished=False)
    asked = []
    monkeypatch.setattr("workers.evaluations.run_child", lambda tasks, **_: asked.extend(tasks))
    score_evaluation(RewardComparison.objects.get().pk)
    told = {key: ended for one in asked[0]["rows"] for key, (_, ended) in one["texts"].items()}
    assert len(told) == 4
    assert [key for key, ended in told.items() if not ended] == [str(cut.pk)]


@pytest.fixture
def reward_model_refuses(monkeypatch, settings):
    """The child scores every answer 0.5 but those of the first ``refused`` prompts."""
    settings.CONCORD_LEASE_SECONDS = 3600

    def install(refused):
        def run_child(tasks, *, hear, **_):
            rows = [list(one["texts"]) for one in tasks[0]["rows"]]
            told = [key for keys in rows[refused:] for key in keys]
            reasons = [key for keys in rows[:refused] for key in keys]
            line = {"key": "scores", "scores": dict.fromkeys(told, 0.5), "truncated": []}
            hear({**line, "reasons": dict.fromkeys(reasons, "no system turn")})

        monkeypatch.setattr("workers.evaluations.run_child", run_child)

    return install


def test_answers_that_the_reward_model_refuses_are_counted_and_the_others_scored(
    project, engineer, policies, reward_model_refuses, client, api
):
    reward = factories.policy(project, kind="reward", location="/reward")
    row = started(project, engineer, policies, prompts=3, is_judged=False, reward_model=reward)
    answered(row)
    reward_model_refuses(1)
    score_evaluation(RewardComparison.objects.get().pk)
    row = evaluation_in(project, row.pk)
    assert (row.reward_comparison.status, scored(row).win_rate.n) == ("done", 2)
    client.force_login(engineer)
    page = client.get(reverse("evaluations-detail", args=[project.pk, row.pk])).text
    assert "2 answers were not scored" in page
    assert "no system turn" in page
    api.force_authenticate(engineer)
    told = api.get(reverse("api-evaluation-detail", args=[project.pk, row.pk])).data
    assert told["reward"]["not_scored"] == 2


def test_a_scoring_that_fails_leaves_no_answers_on_the_disk(
    project, engineer, policies, monkeypatch, settings, tmp_path
):
    settings.CONCORD_VAR, settings.CONCORD_LEASE_SECONDS = tmp_path, 3600
    reward = factories.policy(project, kind="reward", location="/reward")
    answered(started(project, engineer, policies, prompts=2, is_judged=False, reward_model=reward))

    def run_child(_tasks, *, folder, **_):
        (folder / "request.json").write_text("what the policies said")
        raise GeneratorFailed("No memory.")

    monkeypatch.setattr("workers.evaluations.run_child", run_child)
    score_evaluation(RewardComparison.objects.get().pk)
    assert RewardComparison.objects.get().error == "No memory."
    assert list((tmp_path / "evaluations").iterdir()) == []


def test_a_reward_model_that_refuses_every_prompt_fails_with_the_reason(
    project, engineer, policies, reward_model_refuses
):
    reward = factories.policy(project, kind="reward", location="/reward")
    answered(started(project, engineer, policies, prompts=2, is_judged=False, reward_model=reward))
    reward_model_refuses(2)
    score_evaluation(RewardComparison.objects.get().pk)
    scoring = RewardComparison.objects.get()
    assert scoring.status == "failed"
    assert scoring.error == "No answer could be scored. The last because: no system turn"


def test_the_goodhart_plot_has_the_curve_of_the_run_and_the_word_of_people(
    project, engineer, policies
):
    policy, before = policies
    ModelVersion.objects.filter(pk=policy.pk).update(parent=before)
    run = factories.training_run(project, kind="ppo", model_version=policy)
    for step in range(1, 6):
        data = {"kl": float(step * step), "reward": step * (2.0 - 0.5 * step)}
        RunEvent.objects.create(run=run, kind="metrics", step=step, at=run.created_at, data=data)
    ModelCard.objects.create(version=policy, facts={"metrics": {"kl": 4.0}})
    row = answered(started(project, engineer, policies, prompts=8))
    vote(row, 6, out_of=8)
    found = goodhart(row)
    assert [one.distance for one in found.reached] == [1, 2, 3, 4, 5]
    assert found.fit is not None
    assert [(one.distance, one.name, one.win_rate.value) for one in found.judged] == [
        (2.0, "after v1", 0.75)
    ]


def curve_of(project, engineer, policies, points):
    run = factories.training_run(project, kind="ppo", model_version=policies[0])
    for step, (kl, reward) in enumerate(points, start=1):
        data = {"kl": kl, "reward": reward}
        RunEvent.objects.create(run=run, kind="metrics", step=step, at=run.created_at, data=data)
    return goodhart(started(project, engineer, policies, prompts=4))


def test_the_goodhart_plot_begins_at_the_first_update_whose_kl_is_zero(project, engineer, policies):
    """R - 1 = d (2 - log d): rewards over the first update's, 1, at KL 0."""
    curve = [(kl, 1.0 + sqrt(kl) * (2.0 - log(sqrt(kl)))) for kl in (0.25, 1.0, 4.0, 9.0)]
    found = curve_of(project, engineer, policies, [(0.0, 1.0), *curve])
    assert found.reached[0] == (0.0, 1.0)
    assert (found.fit.a, found.fit.b) == pytest.approx((2.0, 1.0))


def test_a_run_that_went_nowhere_has_no_goodhart_plot(project, engineer, policies):
    assert curve_of(project, engineer, policies, [(0.0, 1.0)]) is None


def test_a_policy_that_began_elsewhere_has_no_place_on_the_goodhart_plot(
    project, engineer, policies
):
    """Base to first (KL 10), first to second (KL 3), both against the base: the second is no 3 from the base."""
    first, base = policies
    second = factories.policy(project, name="second", parent=first)
    ModelVersion.objects.filter(pk=first.pk).update(parent=base)
    for policy, kl in ((first, 9.0), (second, 4.0)):
        run = factories.training_run(project, kind="ppo", model_version=policy)
        data = {"kl": kl, "reward": 1.0}
        RunEvent.objects.create(run=run, kind="metrics", step=1, at=run.created_at, data=data)
        ModelCard.objects.create(version=policy, facts={"metrics": {"kl": kl}})
    rows = []
    for policy in (first, second):
        texts = {"ours": f"{policy.pk} {{}}", "theirs": f"base of {policy.pk} {{}}"}
        row = answered(started(project, engineer, (policy, base), prompts=4), **texts)
        vote(row, 3, out_of=4)
        rows.append(evaluation_in(project, row.pk))
    assert [one.name for one in goodhart(rows[0]).judged] == ["after v1"]
    assert goodhart(rows[1]).judged == ()


def test_answers_that_repeat_each_other_are_less_varied():
    same, varied = diversity(["a b c", "a b c"]), diversity(["a b c", "d e f"])
    assert (same.distinct_2, varied.distinct_2) == (0.5, 1.0)
    assert same.self_bleu > varied.self_bleu


def test_the_page_shows_rates_and_hides_nothing_of_how_they_come(
    project, engineer, policies, client
):
    client.force_login(engineer)
    sent = {"policy": policies[0].pk, "baseline": policies[1].pk, "prompts": 8, "is_judged": "on"}
    sent |= {"temperature": 0.8, "max_tokens": 64}
    page = client.post(reverse("evaluations-new", args=[project.pk]), sent, follow=True)
    assert "Both policies are to answer 8 held-out prompts." in page.text
    row = answered(Evaluation.objects.select_related("project").get())
    vote(row, 6, out_of=8)
    page = client.get(reverse("evaluations-detail", args=[project.pk, row.pk]))
    assert "75 %" in page.text
    assert "valid at every look; 8 decided votes" in page.text
    assert "<title>Win rate of the policy over 8 decided votes" in page.text


def test_the_api_starts_reads_and_stops(project, engineer, policies, api):
    api.force_authenticate(engineer)
    asked = {"policy": policies[0].pk, "baseline": policies[1].pk, "prompts": 4}
    made = api.post(reverse("api-evaluation-list", args=[project.pk]), asked, format="json")
    assert (made.status_code, made.json()["state"]) == (201, "answering")
    address = reverse("api-evaluation-detail", args=[project.pk, made.json()["id"]])
    assert api.get(address).json()["people"]["win_rate"]["value"] is None
    stopped = api.post(reverse("api-evaluation-stop", args=[project.pk, made.json()["id"]]))
    assert stopped.json()["state"] == "stopped"


def test_an_answer_that_was_given_before_is_compared(project, engineer, policies):
    """A greedy baseline says the same to the next policy."""
    answered(started(project, engineer, policies, prompts=4))
    third = factories.policy(project, name="third")
    row = answered(started(project, engineer, (third, policies[1]), prompts=4), ours="best {}")
    assert (row.state, row.error, row.batch.comparisons.count()) == ("comparing", "", 4)
    vote(row, 3, out_of=4)
    services.advance_evaluations()
    assert evidence_of(row).win_rate.value == 0.75


def test_two_policies_that_are_compared_again_keep_the_votes_on_the_same_answers(
    project, engineer, policies
):
    first = answered(started(project, engineer, policies, prompts=4))
    vote(first, 2, out_of=3)
    services.stop_evaluation(row=first, actor=engineer)
    again = answered(started(project, engineer, policies, prompts=4))
    assert (again.state, again.batch.comparisons.count()) == ("comparing", 1)
    found = evidence_of(again)
    assert (found.win_rate.n, found.open) == (3, 1)
    vote(again, 1, out_of=1)
    services.advance_evaluations()
    assert evaluation_in(project, again.pk).state == "undecided"
    assert evidence_of(again).win_rate.value == 0.75
    assert evidence_of(first).win_rate.n == 3


def test_equal_answers_are_half_a_win_of_the_reward_model_and_shown_to_nobody(
    project, engineer, policies, client, api
):
    reward = factories.policy(project, kind="reward", location="/reward")
    row = started(project, engineer, policies, prompts=3, reward_model=reward)
    equal = wanted(row.generation)[0]
    for run in (row.generation, row.baseline_generation):
        store_candidates(run=run, prompt=equal, responses=[Response(text="the same")])
    row = answered(row)
    assert row.batch.comparisons.count() == 2
    assert row.reward_comparison.progress_total == 5
    pairs = answers_of(row).values()
    scores = {str(one.pk): float(side == 0) for pair in pairs for side, one in enumerate(pair)}
    services.store_scores(pk=row.reward_comparison.pk, scores=scores)
    row = evaluation_in(project, row.pk)
    assert (scored(row).win_rate.n, scored(row).win_rate.value) == (3, 2.5 / 3)
    client.force_login(engineer)
    page = client.get(reverse("evaluations-detail", args=[project.pk, row.pk])).text
    assert "To 1 prompt both gave the same answer" in page
    api.force_authenticate(engineer)
    told = api.get(reverse("api-evaluation-detail", args=[project.pk, row.pk])).data
    assert told["prompts_equal"] == 1


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [({"ours": "x", "theirs": "x"}, "gave the same answer to each prompt that both answered")],
)
def test_policies_that_say_the_same_throughout_fail_with_the_truth(
    project, engineer, policies, texts, sentence
):
    row = answered(started(project, engineer, policies, prompts=3), **texts)
    assert row.state == "failed"
    assert sentence in row.error


def test_an_evaluation_of_before_repeats_were_kept_goes_on(project, engineer, policies):
    row = answered(started(project, engineer, policies, prompts=3))
    PromptOutcome.objects.update(candidate_ids=[])
    assert len(answers_of(row)) == 3


def statements(read):
    """How many statements it takes, once what is read once a process was read."""
    read()
    with CaptureQueriesContext(connection) as asked:
        assert read().status_code == 200
    return len(asked)


def voted_on(project, engineer, policies, number):
    """An evaluation with votes of both kinds of labelers, and a reward model."""
    reward = factories.policy(project, kind="reward", location=f"/reward/{number}")
    row = started(project, engineer, policies, prompts=4, reward_model=reward)
    row = answered(row, ours=f"better {number} {{}}", theirs=f"worse {number} {{}}")
    vote(row, 1, out_of=2)
    vote(row, 1, out_of=1, labeler=factories.user(kind="simulated"))
    keys = [str(one.pk) for pair in answers_of(row).values() for one in pair]
    scoring = row.reward_comparison.pk
    services.store_scores(pk=scoring, scores={key: float(key) for key in keys})


@pytest.mark.parametrize("name", ["evaluations-list", "api-evaluation-list"])
def test_a_list_of_evaluations_takes_as_many_statements_for_four_as_for_one(
    project, engineer, policies, client, name
):
    client.force_login(engineer)
    address = reverse(name, args=[project.pk])
    voted_on(project, engineer, policies, 1)
    one = statements(lambda: client.get(address))
    for number in (2, 3, 4):
        voted_on(project, engineer, policies, number)
    assert statements(lambda: client.get(address)) == one


def test_a_list_tells_of_each_evaluation_what_its_own_page_tells(project, engineer, policies, api):
    api.force_authenticate(engineer)
    for number in (1, 2):
        voted_on(project, engineer, policies, number)
    rows = api.get(reverse("api-evaluation-list", args=[project.pk])).json()["results"]
    pages = [
        api.get(reverse("api-evaluation-detail", args=[project.pk, one["id"]])).json()
        for one in rows
    ]
    assert rows == pages
    assert [one["people"]["win_rate"]["n"] for one in rows] == [3, 3]
    assert [one["people"]["open"] for one in rows] == [1, 1]
    assert [one["people"]["simulated"] for one in rows] == [1, 1]


def test_labelers_see_nothing_of_whose_answers_they_compare(project, engineer, policies, api):
    row = answered(started(project, engineer, policies, prompts=4))
    labeler = factories.member(project, Role.LABELER)
    api.force_authenticate(labeler)
    answer = api.post(reverse("api-assignment-next", args=[project.pk]))
    assert row.state == "comparing"
    assert "better" in answer.content.decode()
    for secret in ("after", "before", "policy"):
        assert secret not in answer.content.decode()


def test_an_evaluation_that_nobody_was_asked_about_is_scored_and_not_undecided():
    asked = Evaluation(state=Evaluation.State.UNDECIDED, is_judged=True)
    alone = Evaluation(state=Evaluation.State.UNDECIDED, is_judged=False)
    assert (asked.told_state, alone.told_state) == ("undecided", "scored")
