"""Machine judges: appointed under a constitution, heard in both orders, measured, kept out of snapshots by default."""

import itertools
import json
from pathlib import Path

import pytest
from django.urls import reverse

from annotation.accounts.models import User
from annotation.comparisons.models import Judgment
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.query import SnapshotQuery
from annotation.datasets.services.building import build_snapshot
from annotation.demonstrations.models import Demonstration
from annotation.generation.models import Candidate
from annotation.judges.cards import cards_of
from annotation.judges.models import Constitution, Hearing, Judge, JudgeRun, Revision, RevisionRun
from annotation.judges.report import report_of
from annotation.judges.services.appointing import appoint_judge, publish_constitution
from annotation.judges.services.hearing import cancel, request_hearing, resume
from annotation.judges.services.revising import request_revisions
from annotation.projects.models import Role
from tests import factories
from training.models.tiny import tiny_llama, tiny_tokenizer
from training.spec.records import GROUPS_FILE
from workers import judging
from workers.generators import child, local
from workers.generators.base import GeneratorFailed, Outcome, Sampled

pytestmark = pytest.mark.django_db

PRINCIPLES = [{"title": "Helpful", "text": "Prefer the response that answers the question."}]


@pytest.fixture(autouse=True)
def long_lease(settings):
    """The heartbeat has a connection of its own and cannot see rows of a test's transaction."""
    settings.CONCORD_LEASE_SECONDS = 3600


@pytest.fixture
def judge(project, engineer):
    publish_constitution(project=project, principles=PRINCIPLES, actor=engineer)
    model = factories.policy(project, name="judging")
    return appoint_judge(project=project, name="Judge", model=model, actor=engineer)


class FakeModel:
    """Answers each question with what ``says`` returns (a text, or None for no answer)."""

    def __init__(self, says, stop_after=None):
        self.says, self.stop_after, self.asked = says, stop_after, 0

    def generate(self, asks, settings, *, take, check):
        for ask in asks:
            if self.asked == self.stop_after:
                raise GeneratorFailed("The fake stopped; start it again.")
            check()
            self.asked += 1
            text = self.says(ask.turns[-1]["content"])
            if text is None:
                take(Outcome(prompt_id=ask.prompt_id, reason="It fell silent."))
                continue
            one = Sampled(text=text, is_finished=True, token_count=1)
            take(Outcome(prompt_id=ask.prompt_id, samples=(one,) * settings.n))


@pytest.fixture
def model_says(monkeypatch):
    def install(says, **fields):
        fake = FakeModel(says, **fields)
        monkeypatch.setattr(judging, "generator_for", lambda _model, _folder: fake)
        return fake

    return install


def judged_comparison(project, labelers, better=0):
    """A comparison of "good" and "bad"; every labeler says that the candidate ``better`` wins."""
    prompt = factories.prompt(project)
    rows = [
        factories.candidate(prompt, f"a {word} answer to {prompt.pk}") for word in ("good", "bad")
    ]
    comparison = project.comparisons.create(
        prompt=prompt, candidate_ids=[one.pk for one in rows], overlap=len(labelers) or 1
    )
    order = [rows[better], rows[1 - better]]
    for labeler in labelers:
        factories.judgment(comparison, labeler, ranking=[[one.pk] for one in order])
    return comparison


def prefers_good(question):
    return "A" if question.index("a good answer") < question.index("a bad answer") else "B"


def hear(judge, **fields):
    run = request_hearing(judge=judge, actor=None, **fields)
    judging.judge_comparisons(run.pk)
    run.refresh_from_db()
    return run


def test_a_constitution_is_versioned_and_never_published_twice_the_same(project, engineer):
    first = publish_constitution(project=project, principles=PRINCIPLES, actor=engineer)
    with pytest.raises(Conflict, match="word for word version 1"):
        publish_constitution(project=project, principles=PRINCIPLES, actor=engineer)
    more = [*PRINCIPLES, {"title": "Honest", "text": "Prefer what is true."}]
    second = publish_constitution(project=project, principles=more, actor=engineer)
    assert (first.version, second.version) == (1, 2)
    assert Constitution.objects.get(version=1).principles == PRINCIPLES


@pytest.mark.parametrize(
    "principles",
    [[], [{"title": "", "text": ""}], [{"title": "a", "text": ""}], PRINCIPLES * 2,
     [{"title": "a", "text": "x" * 3000}], [{"title": "a\x00", "text": "x"}]],
)  # fmt: skip
def test_a_constitution_that_says_nothing_or_too_much_is_refused(project, engineer, principles):
    with pytest.raises(InvalidInput):
        publish_constitution(project=project, principles=principles, actor=engineer)


def test_a_judge_is_a_machine_that_nobody_can_sign_in_as(judge):
    assert judge.labeler.kind == User.Kind.MACHINE
    assert not judge.labeler.has_usable_password()
    assert judge.constitution.version == 1


def test_a_judge_is_a_policy_of_its_project_under_a_name_of_its_own(project, engineer, judge):
    reward = factories.policy(project, kind="reward")
    foreign = factories.policy(factories.project())
    for model in (reward, foreign):
        with pytest.raises(InvalidInput, match="no policy or judge model"):
            appoint_judge(project=project, name="Other", model=model, actor=engineer)
    with pytest.raises(InvalidInput, match="already"):
        appoint_judge(project=project, name="Judge", model=judge.model, actor=engineer)
    with pytest.raises(InvalidInput, match="says the same"):
        appoint_judge(project=project, name="R", model=judge.model, repeats=3, actor=engineer)


@pytest.fixture
def few_positions(judge, tmp_path, monkeypatch):
    """The judge's model as a tiny one that reads 1,024 tokens, each byte one; its child is this process."""
    model = tiny_llama()
    model.config.max_position_embeddings = 1024
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    judge.model.location = str(tmp_path)
    judge.model.save(update_fields=["location"])
    monkeypatch.setattr(local, "run_child", child_in_this_process)
    return judge


def child_in_this_process(tasks, *, folder, hear, check):
    local._write_request(folder, tasks, stay_seconds=0)
    child.main(folder, child.Held())
    for line in (folder / local.ANSWERS_FILE).read_text().splitlines():
        check()
        hear(json.loads(line))


def a_pair(project, *texts):
    prompt = factories.prompt(project)
    rows = [factories.candidate(prompt, one) for one in texts]
    return project.comparisons.create(
        prompt=prompt, candidate_ids=[one.pk for one in rows], overlap=1
    )


def test_a_pair_longer_than_the_model_reads_gets_no_verdict_but_a_reason(
    project, few_positions, engineer, client
):
    """It could answer what is left after a cut."""
    long = a_pair(project, "x" * 900, "y" * 900)
    short = a_pair(project, "yes", "no")
    run = hear(few_positions, wanted_comparisons="unjudged")
    assert run.status == "done"
    assert Hearing.objects.get(comparison=short).outcome != "failed"
    hearing = Hearing.objects.get(comparison=long)
    assert (hearing.outcome, hearing.answers, hearing.judgment) == ("failed", [], None)
    assert "longer than the model reads" in hearing.reason
    assert "at most 1008 beside an answer of 16" in hearing.reason
    assert not Judgment.objects.filter(comparison=long).exists()
    client.force_login(engineer)
    page = client.get(reverse("judges-hearings", args=[project.pk, few_positions.pk]))
    assert "longer than the model reads here" in page.text


def test_a_candidate_longer_than_the_model_reads_is_not_revised(project, few_positions):
    rows = [policy_candidate(project, one) for one in ("x" * 2000, "no")]
    revise(few_positions, max_tokens=8)
    revisions = {one.candidate_id: one for one in Revision.objects.all()}
    assert "at most 1016 beside an answer of 8" in revisions[rows[0].pk].reason
    assert (revisions[rows[0].pk].outcome, revisions[rows[0].pk].critique) == ("failed", "")
    assert "longer" not in revisions[rows[1].pk].reason


def test_a_verdict_in_both_orders_is_a_judgment_that_takes_no_place(project, judge, model_says):
    comparison = judged_comparison(project, [])
    model_says(prefers_good)
    run = hear(judge, wanted_comparisons="unjudged")
    assert run.status == "done"
    judgment = Judgment.objects.get(comparison=comparison)
    assert judgment.labeler == judge.labeler
    assert judgment.ranking == [[pk] for pk in comparison.candidate_ids]
    assert judgment.shown_order == []
    comparison.refresh_from_db()
    assert (comparison.state, comparison.overlap - comparison.slots_taken) == ("open", 1)
    assert comparison.judgments_counted == 1
    hearing = Hearing.objects.get()
    assert (hearing.outcome, hearing.judgment) == ("judged", judgment)
    assert [one["verdict"] for one in hearing.answers] == ["first", "second"]


@pytest.mark.parametrize(
    ("says", "outcome"),
    [(lambda _: "A", "swayed"), (lambda _: "I like both", "unparsed"), (lambda _: None, "failed")],
)
def test_what_is_no_verdict_is_no_judgment(project, judge, model_says, says, outcome):
    judged_comparison(project, [])
    model_says(says)
    hear(judge, wanted_comparisons="all")
    assert Hearing.objects.get().outcome == outcome
    assert not Judgment.objects.exists()


def test_a_judge_hears_a_comparison_once(project, judge, model_says):
    judged_comparison(project, [])
    fake = model_says(prefers_good)
    run = hear(judge, wanted_comparisons="all")
    with pytest.raises(Conflict, match="heard all"):
        request_hearing(judge=judge, wanted_comparisons="all", actor=None)
    with pytest.raises(Conflict, match="nothing to resume"):
        resume(run=run, left=0, actor=None)
    assert fake.asked == 2
    assert Judgment.objects.count() == 1


def test_a_run_that_stopped_goes_on_with_what_lacks(project, judge, model_says):
    for _ in range(3):
        judged_comparison(project, [])
    model_says(prefers_good, stop_after=3)
    run = hear(judge, wanted_comparisons="all")
    assert (run.status, Hearing.objects.count()) == ("failed", 1)
    resume(run=run, left=2, actor=None)
    fake = model_says(prefers_good)
    judging.judge_comparisons(run.pk)
    run.refresh_from_db()
    assert (run.status, run.progress_done, run.progress_total) == ("done", 3, 3)
    assert (fake.asked, Judgment.objects.count()) == (4, 3)


def test_a_model_that_answers_nothing_fails_the_run_with_its_reason(project, judge, model_says):
    judged_comparison(project, [])
    model_says(lambda _: None)
    run = hear(judge, wanted_comparisons="all")
    assert run.status == "failed"
    assert "It fell silent." in run.error


def test_what_failed_is_heard_again(project, judge, model_says):
    judged_comparison(project, [])
    model_says(lambda _: None)
    hear(judge, wanted_comparisons="all")
    model_says(prefers_good)
    hear(judge, wanted_comparisons="all")
    assert Hearing.objects.get().outcome == "judged"


def test_a_queued_run_is_cancelled(project, judge, engineer, model_says):
    judged_comparison(project, [])
    fake = model_says(prefers_good)
    run = request_hearing(judge=judge, wanted_comparisons="all", actor=engineer)
    cancel(run=run, actor=engineer)
    judging.judge_comparisons(run.pk)
    assert JudgeRun.objects.get().status == "cancelled"
    assert fake.asked == 0


def test_only_what_people_judged_is_heard_to_measure(project, judge, model_says):
    people = [factories.member(project)]
    known, other = judged_comparison(project, people), judged_comparison(project, [])
    model_says(prefers_good)
    hear(judge)
    assert [one.comparison_id for one in Hearing.objects.all()] == [known.pk]
    hear(judge, wanted_comparisons="unjudged")
    assert Hearing.objects.filter(comparison=other).exists()


def test_a_ranking_is_asked_pair_by_pair(project, judge, model_says):
    prompt = factories.prompt(project)
    texts = ["rank 1", "rank 2", "rank 3"]
    rows = [factories.candidate(prompt, text) for text in texts]
    project.comparisons.create(prompt=prompt, candidate_ids=[one.pk for one in rows])

    def lower_is_better(question):
        a, b = (question.partition(f"[response {name} ")[2].partition("\n")[2][:6] for name in "AB")
        return "A" if a < b else "B"

    fake = model_says(lower_is_better)
    hear(judge, wanted_comparisons="all")
    assert fake.asked == 6
    judgment = Judgment.objects.get()
    assert judgment.ranking == [[one.pk] for one in rows]
    assert judgment.strengths == [1, 1]


def test_an_even_handed_judge_that_agrees_with_people_is_fit(project, judge, model_says):
    people = [factories.member(project) for _ in range(3)]
    for _ in range(40):
        judged_comparison(project, people)
    model_says(prefers_good)
    hear(judge)
    report = report_of(judge)
    assert report.fitness.state == "fit"
    assert report.agreement.value == report.same_in_both_orders.value == 1.0
    assert report.chose_first.value == 0.5
    assert (report.alt_test.passes, report.alt_test.people) == (True, 3)


def test_the_alt_test_tells_the_pairs_on_which_the_judge_kept_no_verdict(
    project, judge, model_says
):
    """Of 50 pairs that three people judged, 10 are answered by the side."""
    people = [factories.member(project) for _ in range(3)]
    for _ in range(50):
        judged_comparison(project, people)
    asked = itertools.count()
    model_says(lambda question: "A" if next(asked) < 20 else prefers_good(question))
    hear(judge)
    report = report_of(judge)
    assert (report.alt_test.pairs, report.alt_test.undecided) == (50, 10)
    details = [one.detail for one in cards_of(report)]
    assert any("; 10 of 50 pairs left out" in one for one in details)


def test_a_judge_that_always_says_the_first_is_unfit_and_says_why(project, judge, model_says):
    people = [factories.member(project) for _ in range(3)]
    for _ in range(30):
        judged_comparison(project, people)
    model_says(lambda _: "A")
    hear(judge)
    report = report_of(judge)
    assert report.fitness.state == "unfit"
    assert report.chose_first.value == 1.0
    assert report.same_in_both_orders.value == 0.0
    assert report.agreement.value is None
    assert report.one_order_agreement.value == 0.5
    assert any("same in both orders for 0 %" in one for one in report.fitness.reasons)


def test_unread_answers_are_counted_and_make_a_judge_unfit(project, judge, model_says):
    for _ in range(30):
        judged_comparison(project, [])
    said = itertools.cycle(["A", "Well."])
    model_says(lambda _: next(said))
    hear(judge, wanted_comparisons="all")
    report = report_of(judge)
    assert (report.unparsed.value, report.answers) == (0.5, 60)
    assert any("could not be read" in one for one in report.fitness.reasons)


def test_a_judge_against_people_is_unfit(project, judge, model_says):
    people = [factories.member(project) for _ in range(3)]
    for _ in range(40):
        judged_comparison(project, people, better=1)
    model_says(prefers_good)
    hear(judge)
    report = report_of(judge)
    assert (report.fitness.state, report.agreement.value) == ("unfit", 0.0)
    assert report.alt_test.winning_rate == 0.0


@pytest.mark.parametrize("better", [0, 1])
def test_a_snapshot_warns_of_the_verdicts_of_an_unfit_judge(
    project, judge, model_says, client, better
):
    """People say the same as the judge, or the contrary."""
    people = [factories.member(project) for _ in range(3)]
    for _ in range(40):
        judged_comparison(project, people, better=better)
    model_says(prefers_good)
    hear(judge)
    query = SnapshotQuery.from_json({"labelers": ["people", "machine"]}).as_json()
    row = factories.snapshot(project, query=query, status="running")
    built = build_snapshot(snapshot=row, progress=lambda *_: None)
    told = [one for one in built.manifest["warnings"] if "machine judge Judge" in one]
    assert len(told) == better
    client.force_login(factories.member(project, Role.ENGINEER))
    page = client.get(reverse("datasets-list", args=[project.pk])).text
    assert '<span class="tag machine">machine</span>' in page


def test_few_hearings_say_nothing_of_fitness(project, judge, model_says):
    judged_comparison(project, [factories.member(project)])
    model_says(lambda _: "A")
    hear(judge)
    assert report_of(judge).fitness.state == "unknown"


def pairs_of(project, **query):
    query = SnapshotQuery.from_json(query).as_json()
    row = factories.snapshot(project, query=query, status="running")
    built = build_snapshot(snapshot=row, progress=lambda *_: None)
    lines = Path(built.folder, GROUPS_FILE).read_text().splitlines()
    return [pair for line in lines for pair in json.loads(line)["pairs"]]


def test_a_snapshot_takes_machines_only_where_its_rule_names_them(project, judge, model_says):
    people = [factories.member(project)]
    judged_comparison(project, people)
    judged_comparison(project, [])
    model_says(prefers_good)
    hear(judge, wanted_comparisons="all")
    shares = {"train": 1.0, "validation": 0.0, "test": 0.0}
    (alone,) = pairs_of(project, **shares)
    assert (alone["votes_chosen"], alone["votes_machine"], alone["source"]) == (1, 0, "judgment")
    with_machines = pairs_of(project, labelers=["people", "machine"], **shares)
    marked = sorted((one["source"], one["votes_machine"]) for one in with_machines)
    assert marked == [("judgment", 1.0), ("machine", 1.0)]


def revising_model(question):
    if question.endswith("Critique:"):
        return "It is rude."
    return "A kinder answer." if "It is rude." in question else "?"


def revise(judge, **fields):
    run = request_revisions(judge=judge, actor=None, **fields)
    judging.revise_candidates(run.pk)
    run.refresh_from_db()
    return run


def policy_candidate(project, text):
    policy = factories.policy(project)
    return factories.candidate(
        factories.prompt(project), text, source=Candidate.Source.POLICY, policy=policy
    )


def test_a_revision_becomes_an_edit_that_people_review(project, judge, model_says):
    candidate = policy_candidate(project, "A rude answer.")
    model_says(revising_model)
    run = revise(judge)
    revision = Revision.objects.get()
    assert (run.status, revision.outcome, revision.critique) == ("done", "revised", "It is rude.")
    edit = revision.demonstration
    assert (edit.state, edit.source, edit.author) == ("submitted", candidate, judge.labeler)
    assert edit.candidate is None


def test_a_text_that_stays_the_same_is_no_edit(project, judge, model_says):
    policy_candidate(project, "A kinder answer.")
    model_says(revising_model)
    revise(judge)
    assert Revision.objects.get().outcome == "unchanged"
    assert not Demonstration.objects.exists()


def test_a_candidate_is_revised_once(project, judge, model_says):
    policy_candidate(project, "A rude answer.")
    model_says(revising_model)
    run = revise(judge)
    judging.revise_candidates(run.pk)
    with pytest.raises(Conflict, match="has not revised"):
        request_revisions(judge=judge, actor=None)
    assert Demonstration.objects.count() == RevisionRun.objects.count() == 1


def test_machine_edits_are_marked_and_enter_only_by_the_rule(project, judge, model_says):
    policy_candidate(project, "A rude answer.")
    model_says(revising_model)
    revise(judge, is_reviewed=False)
    shares = {"train": 1.0, "validation": 0.0, "test": 0.0}
    wanted = {"edit_preferences": True, **shares}
    with pytest.raises(InvalidInput, match="no usable pair"):
        pairs_of(project, **wanted)
    (pair,) = pairs_of(project, labelers=["machine"], **wanted)
    assert (pair["source"], pair["votes_machine"]) == ("machine_edit", 1.0)


def test_a_judge_cannot_be_changed_by_a_new_constitution(project, judge, engineer):
    more = [*PRINCIPLES, {"title": "Honest", "text": "Prefer what is true."}]
    publish_constitution(project=project, principles=more, actor=engineer)
    assert Judge.objects.get(pk=judge.pk).constitution.version == 1
