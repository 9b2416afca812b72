"""New comparisons between policies are drawn by what one verdict tells, and keep the chance of their draw."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.comparisons.models import Batch, Comparison
from annotation.core.errors import Conflict
from annotation.core.text import fingerprint
from annotation.generation.models import Candidate
from annotation.quality import next_comparisons, services
from annotation.quality.next_comparisons import ask_next
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report
from tests import factories

pytestmark = pytest.mark.django_db
JUDGED, ALL = 4, 6  # prompts
FRESH = {("a", "b"): ALL - JUDGED, ("b", "c"): ALL - JUDGED, ("a", "c"): ALL}


@pytest.fixture
def ranked(project):
    """Three policies that answered six prompts; a and b, b and c were compared on four of them, with mixed verdicts."""
    for number in range(ALL):
        prompt = factories.prompt(project)
        a, b, c = (factories.candidate(prompt, source_name=name).pk for name in "abc")
        for pair in ((a, b), (b, c)) if number < JUDGED else ():
            one = Comparison.objects.create(
                project=project, prompt=prompt, candidate_ids=pair, state="judged"
            )
            tiers = [[pair[number % 2]], [pair[1 - number % 2]]]
            factories.judgment(one, ranking=tiers)
    services.catch_up(project=project)
    return project


def sources(comparison):
    names = Candidate.objects.filter(pk__in=comparison.candidate_ids).order_by("source_name")
    return tuple(names.values_list("source_name", flat=True))


def test_a_draw_keeps_the_chance_of_its_policies_over_what_they_had(ranked, admin):
    told = {
        (row["source"], row["against"]): row["propensity"]
        for row in computed_report(ranked, Scope())["policies"]["next"]
    }
    met = set()
    for seed in range(6):
        batch = ask_next(project=ranked, count=1, actor=admin, seed=seed)
        [one] = batch.comparisons.all()
        met.add(sources(one))
        assert one.propensity == pytest.approx(told[sources(one)] / FRESH[sources(one)])
        assert one.propensity >= 0.2 / 3 / ALL
        one.delete()
    assert len(met) > 1


def test_all_that_is_left_is_drawn_once_and_then_nothing(ranked, admin):
    batch = ask_next(project=ranked, count=100, actor=admin)
    made = list(batch.comparisons.all())
    assert len(made) == sum(FRESH.values())
    assert all(one.state == "open" and one.candidates.count() == 2 for one in made)
    shares = [one.propensity * FRESH[sources(one)] for one in made]
    assert max(shares) == pytest.approx(1.0)  # the last policies with something left, for certain
    with pytest.raises(Conflict, match="not compared yet"):
        ask_next(project=ranked, count=1, actor=admin)


def test_all_of_two_policies_are_drawn_with_equal_weights(ranked, admin):
    Candidate.objects.filter(source_name="c").update(text="", fingerprint=fingerprint([""]))
    batch = ask_next(project=ranked, count=2, actor=admin)
    assert [one.propensity for one in batch.comparisons.all()] == [0.5, 0.5]


def test_what_others_made_meanwhile_keeps_no_chance(ranked, admin, monkeypatch):
    pools = next_comparisons._pools

    def pools_and_others(*asked):
        found = pools(*asked)
        for one in (fresh for pool in found.values() for fresh in pool.some):
            key = {"project": ranked, "prompt_id": one.prompt, "candidate_ids": list(one.ids)}
            Comparison.objects.get_or_create(**key)
        return found

    monkeypatch.setattr(next_comparisons, "_pools", pools_and_others)
    with CaptureQueriesContext(connection) as asked, pytest.raises(Conflict, match="same moment"):
        ask_next(project=ranked, count=1, actor=admin)
    assert any("FOR NO KEY UPDATE" in one["sql"] for one in asked)
    assert not Comparison.objects.exclude(propensity=None).exists()
    assert not Batch.objects.exists()


def test_two_responses_that_a_ranking_holds_are_not_drawn(ranked, admin):
    for prompt in ranked.prompts.filter(comparisons=None):
        ids = sorted(prompt.candidates.values_list("pk", flat=True))
        Comparison.objects.create(project=ranked, prompt=prompt, candidate_ids=ids)
    made = ask_next(project=ranked, count=100, actor=admin).comparisons.all()
    assert [sources(one) for one in made] == [("a", "c")] * JUDGED


def test_the_page_and_the_api_draw_and_votes_tell_the_chance(ranked, admin, client, api):
    page = client.get(reverse("quality-items", args=[ranked.pk])).text
    assert "Draw them" in page
    url = reverse("quality-next", args=[ranked.pk])
    assert "Ask 1 to 1,000 at once" in client.post(url, {"comparisons": "many"}, follow=True).text
    told = client.post(url, {"comparisons": "2"}, follow=True).text
    assert "Comparisons drawn: 2. They are in the batch Drawn between policies." in told
    made = api.post(reverse("api-next-comparisons", args=[ranked.pk]), {"comparisons": 3})
    assert made.json()["comparisons"] == 3
    one = Batch.objects.get(pk=made.json()["batch"]).comparisons.first()
    assert (
        "Drawn with a chance of" in client.get(f"/projects/{ranked.pk}/comparisons/{one.pk}/").text
    )
    trail = client.get(reverse("projects-audit", args=[ranked.pk]), {"verb": "batch.made"}).text
    assert reverse("comparisons-batch", args=[ranked.pk, one.batch_id]) in trail
    factories.judgment(one)
    votes = client.get(reverse("datasets-judgments", args=[ranked.pk]))
    rows = [json.loads(line) for line in b"".join(votes).decode().splitlines()]
    chances = [row["propensity"] for row in rows]
    assert chances.count(None) == 2 * JUDGED
    assert one.propensity in chances
