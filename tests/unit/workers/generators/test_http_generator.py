"""Servers fail in every way: what is asked again, what is given back with a reason, what ends the run."""

import itertools
import logging
import threading
import time
from email.utils import formatdate

import pytest

from tests.unit.workers.generators.openai_server import Said, Server, texts
from workers.generators import http
from workers.generators.base import Ask, GeneratorFailed, SamplingSettings
from workers.generators.http import HttpGenerator, Manners

KEY = "sk-very-secret"
MANNERS = {"concurrency": 2, "timeout_seconds": 5.0, "attempts": 3, "first_wait": 0.01}


@pytest.fixture
def serve():
    """Start a server that answers with what a function says; it ends with the test."""
    servers = []

    def start(says):
        server = Server(says)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.may_answer.set()
        server.shutdown()
        server.server_close()


def prompts(*contents):
    return [
        Ask(prompt_id=number, turns=[{"role": "user", "content": one}])
        for number, one in enumerate(contents)
    ]


def answers(
    server, *contents, n=1, key_variable="", check=lambda: None, whole_prompts=False, **manners
):
    """Outcomes by prompt id."""
    taken = {}
    settings = SamplingSettings(
        n=n, temperature=0.7, top_p=0.9, max_tokens=5, seed=3, whole_prompts=whole_prompts
    )
    HttpGenerator(
        server.url, model="m", key_variable=key_variable, manners=Manners(**{**MANNERS, **manners})
    ).generate(
        prompts(*(contents or ("hi",))),
        settings,
        take=lambda outcome: taken.setdefault(outcome.prompt_id, outcome),
        check=check,
    )
    return taken


def in_turn(*said):
    """Each request gets the next answer, the last one for ever."""
    rest = itertools.chain(said, itertools.repeat(said[-1]))
    return lambda _body: next(rest)


def words(outcome):
    return [one.text for one in outcome.samples]


def test_n_samples_come_from_one_request_where_the_server_gives_them(serve):
    server = serve(lambda _body: texts("a", "b", "c"))
    assert words(answers(server, n=3)[0]) == ["a", "b", "c"]
    assert [body["n"] for body in server.bodies] == [3]


def test_the_request_carries_all_settings(serve):
    server = serve(lambda _body: texts("a"))
    answers(server)
    body = server.bodies[0]
    assert (body["model"], body["messages"]) == ("m", [{"role": "user", "content": "hi"}])
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.9, 5)


def test_a_server_that_ignores_n_is_asked_again_with_other_seeds(serve):
    server = serve(lambda body: texts(f"seed {body['seed']}"))
    assert len(set(words(answers(server, n=3)[0]))) == 3


def test_a_server_that_refuses_n_is_asked_one_by_one(serve):
    def says(body):
        return Said(400, b"no field n") if "n" in body else texts(f"{body['seed']}")

    assert len(words(answers(serve(says), n=2)[0])) == 2


def test_more_choices_than_asked_for_are_not_taken(serve):
    assert words(answers(serve(lambda _body: texts("a", "b")), n=1)[0]) == ["a"]


def test_a_response_cut_at_the_limit_is_not_finished(serve):
    outcome = answers(serve(lambda _body: texts("a", finish="length")))[0]
    assert not outcome.samples[0].is_finished


def test_a_server_that_read_fewer_tokens_than_there_are_words_has_cut_the_prompt(serve):
    server = serve(lambda _body: texts("a", prompt_tokens=40))
    taken = answers(server, "word " * 100, "word " * 30)
    assert [taken[one].prompt_tokens_cut for one in (0, 1)] == [60, 0]
    assert words(taken[0]) == ["a"]


def test_a_prompt_that_is_wanted_whole_is_given_back_where_the_server_cut_it(serve):
    server = serve(lambda _body: texts("a", prompt_tokens=40))
    taken = answers(server, "word " * 100, "word " * 30, whole_prompts=True)
    assert (taken[0].samples, words(taken[1])) == ((), ["a"])
    assert "it read 40 tokens, fewer than there are words" in taken[0].reason


@pytest.mark.parametrize("told", [0, -1, "40", None])
def test_a_server_that_tells_no_tokens_is_believed(serve, told):
    server = serve(lambda _body: texts("a", prompt_tokens=told))
    taken = answers(server, "word " * 100, whole_prompts=True)
    assert (words(taken[0]), taken[0].prompt_tokens_cut) == (["a"], 0)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_passing_failure_is_asked_again(serve, status):
    server = serve(in_turn(Said(status), texts("at last")))
    assert words(answers(server)[0]) == ["at last"]


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": [7]}',
        b'{"choices": [{"message": {"content": null}}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_broken_answer_is_asked_again_and_then_named(serve, broken):
    server = serve(in_turn(Said(200, broken)))
    outcome = answers(server)[0]
    assert (outcome.samples, len(server.bodies)) == ((), 3)
    assert "answer" in outcome.reason


def test_retry_after_is_waited_for(serve):
    server = serve(in_turn(Said(429, headers=(("Retry-After", "1"),)), texts("a")))
    before = time.monotonic()
    answers(server)
    assert time.monotonic() - before >= 1.0


def test_retry_after_may_be_a_date_or_nonsense():
    assert http.seconds_until("7") == 7.0
    assert 50 < http.seconds_until(formatdate(time.time() + 60)) <= 60
    for unreadable in ("soon", "²", "9" * 400):
        assert http.seconds_until(unreadable) == 0.0
    assert http.seconds_until(formatdate(time.time() - 60)) == 0.0


def test_a_retry_after_of_a_year_is_not_waited_for(serve):
    server = serve(in_turn(Said(429, headers=(("Retry-After", "31536000"),)), texts("a")))
    assert words(answers(server, longest_wait=0.01)[0]) == ["a"]


def test_one_prompt_that_always_fails_does_not_stop_the_others(serve):
    def says(body):
        return Said(500, b"no") if body["messages"][0]["content"] == "bad" else texts("good")

    taken = answers(serve(says), "one", "bad", "two")
    assert taken[1].reason == "The server answered 500: no"
    assert [words(taken[0]), words(taken[2])] == [["good"], ["good"]]


def test_what_was_said_before_a_failure_is_kept(serve):
    outcome = answers(serve(in_turn(texts("first"), Said(500, b"no"))), n=2)[0]
    assert (words(outcome), outcome.reason) == (["first"], "The server answered 500: no")


def test_a_server_that_hangs_is_given_up_with_a_reason(serve):
    server = serve(lambda _body: texts("late"))
    server.may_answer.clear()
    outcome = answers(server, timeout_seconds=0.05, attempts=2)[0]
    assert outcome.reason == "The server did not answer within 0.05 seconds."


def test_a_server_that_is_down_ends_the_run_after_a_few_prompts(serve):
    server = serve(in_turn(Said(500, b"down")))
    with pytest.raises(GeneratorFailed, match="Resume the run once the server answers"):
        answers(server, *"abcdefgh", failures_in_a_row=3, attempts=1)
    assert len(server.bodies) < 8


def test_an_address_where_nobody_listens_is_named(serve):
    server = serve(lambda _body: texts("a"))
    server.shutdown()
    server.server_close()
    assert "connection failed" in answers(server)[0].reason


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_run_at_once(serve, status):
    server = serve(in_turn(Said(status)))
    with pytest.raises(GeneratorFailed):
        answers(server)
    assert len(server.bodies) == 1


def test_a_huge_answer_is_not_read_to_its_end(serve, monkeypatch):
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1000)
    outcome = answers(serve(in_turn(texts("x" * 2000))))[0]
    assert "more than 1000 bytes" in outcome.reason


def test_a_redirect_is_not_followed_with_the_key(serve, monkeypatch):
    monkeypatch.setenv("TEST_API_KEY", KEY)
    elsewhere = serve(lambda _body: texts("stolen"))
    server = serve(in_turn(Said(307, headers=(("Location", elsewhere.url),))))
    outcome = answers(server, key_variable="TEST_API_KEY")[0]
    assert (outcome.samples, elsewhere.keys) == ((), [])


def test_the_key_is_sent_and_never_shown_or_logged(serve, monkeypatch, caplog):
    monkeypatch.setenv("TEST_API_KEY", KEY)
    server = serve(in_turn(Said(500, f"bad key {KEY}".encode())))
    with caplog.at_level(logging.DEBUG):
        outcome = answers(server, key_variable="TEST_API_KEY")[0]
    assert server.keys[0] == f"Bearer {KEY}"
    assert outcome.reason == "The server answered 500: bad key ***"
    assert KEY not in caplog.text


def test_a_missing_key_says_which_variable_to_set(serve, monkeypatch):
    monkeypatch.delenv("TEST_API_KEY", raising=False)
    with pytest.raises(GeneratorFailed, match="TEST_API_KEY"):
        answers(serve(lambda _body: texts("a")), key_variable="TEST_API_KEY")


def test_requests_keep_to_the_rate(serve):
    server = serve(lambda _body: texts("a"))
    before = time.monotonic()
    answers(server, *"abcde", per_second=20.0, concurrency=5)
    assert time.monotonic() - before >= 4 / 20


def test_no_more_requests_than_wanted_are_under_way(serve):
    server = serve(lambda _body: texts("a"))
    server.may_answer.clear()
    seen = []

    def check():
        seen.append(len(server.bodies))
        if len(seen) > 2:
            server.may_answer.set()

    answers(server, *"abcdef", concurrency=2, check=check)
    assert max(seen[:3]) <= 2


def test_cancelling_stops_waiting_requests_soon(serve):
    server = serve(in_turn(Said(429, headers=(("Retry-After", "30"),))))

    def check():
        if server.bodies:
            raise InterruptedError

    before = time.monotonic()
    with pytest.raises(InterruptedError):
        answers(server, *"abc", check=check)
    assert time.monotonic() - before < 5
