"""A policy is asked for candidates: queued, stored once whatever it says, resumed with what lacks, paired."""

from dataclasses import replace

import pytest

from annotation.comparisons.models import Comparison
from annotation.core.errors import Conflict, InvalidInput
from annotation.generation import services
from annotation.generation.models import Candidate, GenerationRun, PromptOutcome
from annotation.generation.selectors import cuts_of, facts_of
from annotation.registry.services import promote
from tests import factories
from training.models.tiny import tiny_llama, tiny_tokenizer
from workers import generation
from workers.generators.base import GeneratorFailed, Outcome, Sampled

pytestmark = pytest.mark.django_db


@pytest.fixture
def tiny_folder(tmp_path):
    tiny_llama().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def long_lease(settings):
    """The heartbeat has a connection of its own and cannot see rows of a test's transaction."""
    settings.CONCORD_LEASE_SECONDS = 3600


def requested(project, engineer, **fields):
    policy = fields.pop("policy", None) or factories.policy(project)
    return services.request_candidates(project=project, policy=policy, actor=engineer, **fields)


def response(text, **fields):
    return services.Response(text=text, **fields)


class FakeGenerator:
    """Answers each prompt with what `says` returns, until it is stopped."""

    def __init__(self, says, stop_after=None):
        self.says, self.stop_after, self.asked = says, stop_after, []

    def generate(self, asks, settings, *, take, check):
        for number, ask in enumerate(asks):
            if number == self.stop_after:
                raise GeneratorFailed("The fake stopped; start it again.")
            check()
            self.asked.append(ask.prompt_id)
            take(self.says(ask, settings))


@pytest.fixture
def policy_says(monkeypatch):
    def install(says, **fields):
        fake = FakeGenerator(says, **fields)
        monkeypatch.setattr(generation, "generator_for", lambda _policy, _folder: fake)
        return fake

    return install


def two_texts(ask, _settings):
    samples = [Sampled(text=f"{ask.prompt_id} {n}", is_finished=True, token_count=3) for n in "ab"]
    return Outcome(prompt_id=ask.prompt_id, samples=tuple(samples))


def failing(ask, _settings):
    return Outcome(prompt_id=ask.prompt_id, reason="The server answered 500: no.")


def test_prompts_that_were_cut_are_counted_with_how_much(project, engineer, policy_says):
    whole, cut = factories.prompt(project), factories.prompt(project)
    policy_says(
        lambda ask, settings: replace(
            two_texts(ask, settings), prompt_tokens_cut=7 * (ask.prompt_id == cut.pk)
        )
    )
    run = requested(project, engineer)
    generation.generate_candidates(run.pk)
    assert dict(run.outcomes.values_list("prompt_id", "prompt_tokens_cut")) == {
        whole.pk: 0,
        cut.pk: 7,
    }
    assert facts_of(run).prompts_cut == 1
    assert [one.prompt_id for one in cuts_of(run)] == [cut.pk]
    assert facts_of(run).failures == 0


def test_the_serving_policy_is_asked_where_none_is_named(project, engineer):
    factories.prompt(project)
    policy = factories.policy(project)
    promote(version=policy, actor=engineer)
    run = services.request_candidates(project=project, actor=engineer)
    assert (run.policy, run.status, run.progress_total) == (policy, "queued", 1)


def test_without_a_serving_policy_the_request_says_what_to_do(project, engineer):
    with pytest.raises(InvalidInput, match="promote one on Models"):
        services.request_candidates(project=project, actor=engineer)


def test_a_reward_model_or_a_stranger_is_no_policy(project, engineer):
    factories.prompt(project)
    with pytest.raises(InvalidInput, match="no policy of this project"):
        requested(project, engineer, policy=factories.policy(project, kind="reward"))
    with pytest.raises(InvalidInput, match="no policy of this project"):
        requested(project, engineer, policy=factories.policy(factories.project()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_prompt": 0},
        {"per_prompt": 65},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": 0.0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"max_tokens": 0},
        {"seed": -1},
        {"seed": 2**40},
        {"max_prompts": -1},
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_name(project, engineer, wrong):
    factories.prompt(project)
    with pytest.raises(InvalidInput) as refused:
        requested(project, engineer, **wrong)
    assert refused.value.field == next(iter(wrong))


def test_a_project_without_prompts_has_nothing_to_ask(project, engineer):
    with pytest.raises(Conflict, match="import some first"):
        requested(project, engineer)


def test_a_second_run_asks_only_new_prompts_unless_it_asks_otherwise(
    project, engineer, policy_says
):
    policy_says(two_texts)
    policy = factories.policy(project)
    factories.prompt(project)
    generation.generate_candidates(requested(project, engineer, policy=policy).pk)
    with pytest.raises(Conflict, match="answered every prompt"):
        requested(project, engineer, policy=policy)
    assert requested(project, engineer, policy=policy, seed=18).progress_total == 1
    new = factories.prompt(project)
    fake = policy_says(two_texts)
    generation.generate_candidates(requested(project, engineer, policy=policy).pk)
    assert fake.asked == [new.pk]


def test_a_run_stores_candidates_and_pairs_them(project, engineer, policy_says):
    prompts = [factories.prompt(project) for _ in range(3)]
    run = requested(project, engineer)
    policy_says(two_texts)
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    assert (run.status, run.progress_done, run.progress_total) == ("done", 3, 3)
    assert Candidate.objects.filter(run=run, policy=run.policy).count() == 6
    assert Comparison.objects.filter(prompt__in=prompts).count() == 3


def test_a_run_that_is_not_to_pair_makes_no_comparison(project, engineer, policy_says):
    factories.prompt(project)
    policy_says(two_texts)
    generation.generate_candidates(requested(project, engineer, pair_after=False).pk)
    assert not Comparison.objects.exists()


def test_max_prompts_bounds_the_whole_run_also_when_resumed(project, engineer, policy_says):
    for _ in range(5):
        factories.prompt(project)
    run = requested(project, engineer, max_prompts=3)
    policy_says(two_texts, stop_after=2)
    generation.generate_candidates(run.pk)
    policy_says(two_texts)
    services.resume(run=run, actor=engineer)
    generation.generate_candidates(run.pk)
    assert run.outcomes.count() == 3


def test_a_run_that_failed_goes_on_with_what_lacks(project, engineer, policy_says):
    prompts = [factories.prompt(project) for _ in range(3)]
    run = requested(project, engineer)
    policy_says(two_texts, stop_after=2)
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "The fake stopped; start it again.")
    services.resume(run=run, actor=engineer)
    fake = policy_says(two_texts)
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    assert (run.status, fake.asked, run.progress_done) == ("done", [prompts[2].pk], 3)


def test_a_prompt_that_failed_is_listed_and_asked_again(project, engineer, policy_says):
    _, bad = factories.prompt(project), factories.prompt(project)
    run = requested(project, engineer)
    policy_says(lambda ask, how: (failing if ask.prompt_id == bad.pk else two_texts)(ask, how))
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    outcome = PromptOutcome.objects.get(run=run, prompt=bad)
    assert (run.status, outcome.reason) == ("done", "The server answered 500: no.")
    services.resume(run=run, actor=engineer)
    fake = policy_says(two_texts)
    generation.generate_candidates(run.pk)
    assert fake.asked == [bad.pk]
    assert not PromptOutcome.objects.filter(run=run).exclude(reason="").exists()


def test_a_run_in_which_every_prompt_failed_has_failed(project, engineer, policy_says):
    factories.prompt(project)
    run = requested(project, engineer)
    policy_says(failing)
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    assert (run.status, "answered 500" in run.error) == ("failed", True)


def test_a_complete_run_cannot_be_resumed_and_a_running_one_neither(project, engineer, policy_says):
    factories.prompt(project)
    run = requested(project, engineer)
    GenerationRun.objects.filter(pk=run.pk).update(status="running")
    with pytest.raises(Conflict, match="under way"):
        services.resume(run=run, actor=engineer)
    GenerationRun.objects.filter(pk=run.pk).update(status="queued")
    policy_says(two_texts)
    generation.generate_candidates(run.pk)
    with pytest.raises(Conflict, match="nothing to resume"):
        services.resume(run=run, actor=engineer)


def test_a_queued_run_is_cancelled_at_once(project, engineer):
    factories.prompt(project)
    run = services.cancel(run=requested(project, engineer), actor=engineer)
    assert run.status == "cancelled"
    with pytest.raises(Conflict, match="nothing to cancel"):
        services.cancel(run=run, actor=engineer)


def test_the_same_response_becomes_a_candidate_once(project, engineer):
    prompt = factories.prompt(project)
    factories.candidate(prompt, "Said before.")
    run = requested(project, engineer, per_prompt=3)
    texts = ["Said before. ", "New.", "New.\r\n"]
    stored = services.store_candidates(
        run=run, prompt=prompt, responses=[response(one) for one in texts]
    )
    assert (stored.candidates, stored.duplicates) == (1, 2)


def test_storing_twice_adds_nothing_twice(project, engineer):
    prompt = factories.prompt(project)
    run = requested(project, engineer)
    for _ in range(2):
        services.store_candidates(run=run, prompt=prompt, responses=[response("a"), response("b")])
    assert Candidate.objects.filter(prompt=prompt).count() == 2
    assert PromptOutcome.objects.get(run=run).candidates == 2


def test_hostile_output_is_stored_whole_and_clean(project, engineer):
    prompt = factories.prompt(project)
    run = requested(project, engineer)
    hostile = ["a\x00b", "lone \ud800 surrogate"]
    services.store_candidates(run=run, prompt=prompt, responses=[response(one) for one in hostile])
    texts = set(Candidate.objects.filter(run=run).values_list("text", flat=True))
    assert texts == {"a\ufffdb", "lone \ufffd surrogate"}


def test_a_megabyte_is_not_kept_but_the_rest_is(project, engineer):
    prompt = factories.prompt(project)
    run = requested(project, engineer)
    huge = response("x" * 1_048_576)
    services.store_candidates(run=run, prompt=prompt, responses=[huge, response("short")])
    outcome = PromptOutcome.objects.get(run=run)
    assert Candidate.objects.get(run=run).text == "short"
    assert "more than 500000 characters" in outcome.reason


def test_a_failure_while_pairing_leaves_no_half_write(project, engineer, policy_says, monkeypatch):
    factories.prompt(project)
    run = requested(project, engineer)
    policy_says(two_texts)

    def breaks(**_fields):
        raise OSError("disk")

    monkeypatch.setattr(generation, "pair_answered", breaks)
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    assert (run.status, Candidate.objects.count(), run.outcomes.count()) == ("failed", 0, 0)


def test_a_tiny_model_answers_in_a_child_process(project, engineer, tiny_folder, long_lease):
    for content in ("Hi?", "A somewhat longer question, please?"):
        factories.prompt(project, content)
    policy = factories.policy(project, location=str(tiny_folder))
    run = requested(project, engineer, policy=policy, max_tokens=4, per_prompt=3)
    generation.generate_candidates(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error, run.progress_done) == ("done", "", 2)
    assert sum(run.outcomes.values_list("candidates", flat=True)) >= 2
