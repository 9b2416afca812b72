"""Accept and reject signals: their figures, where they say nothing, and beside pairwise verdicts."""

import csv
from datetime import UTC, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.quality import services, signals
from annotation.quality.scope import SIGNAL_FILTERS, Scope
from annotation.quality.signals import signals_report
from tests import factories
from tests.integration.test_agreement_page import judged

pytestmark = pytest.mark.django_db
TEN_DAYS_AGO = (timezone.now() - timedelta(days=10)).date()


def signalled(project, candidate, *said):
    """One signal a (labeler, accepted)."""
    for labeler, is_accepted in said:
        project.signals.create(
            prompt=candidate.prompt, candidate=candidate, labeler=labeler, is_accepted=is_accepted
        )


@pytest.fixture
def liked(project):
    """Forty comparisons: the first response, long, is accepted by three people of whom one differs; the second, short,
    is rejected by one. In thirty of them a labeler prefers the first.
    """
    people = [factories.user() for _ in range(3)]
    labeler = factories.user()
    for number in range(40):
        comparison = judged(project, [(labeler, 1 if number < 30 else -1)])
        first, second = comparison.candidates.order_by("pk")
        project.candidates.filter(pk=first.pk).update(text="x" * 80, source_name="long")
        project.candidates.filter(pk=second.pk).update(text="x" * 40, source_name="=short")
        signalled(project, first, *((one, one != people[number % 3]) for one in people))
        signalled(project, second, (people[0], False))
    services.catch_up(project=project)
    return project


def test_the_figures_are_those_of_the_signals(liked):
    """Of 160 signals 80 accept; two of three people agree in one pair of three; 80 of 120 long ones, no short one."""
    report = signals_report(liked, Scope())
    assert (report["signals"], report["responses"], report["people"]) == (160, 80, 3)
    values = {name: one["value"] for name, one in report["statistics"].items()}
    assert values["accepted"] == 0.5
    assert values["same_signal"] == pytest.approx(1 / 3)
    assert (values["accepted_long"], values["accepted_short"]) == (pytest.approx(2 / 3), 0.0)
    assert values["alpha_signals"] < 0
    assert [(row["source"], row["n"]) for row in report["sources"]] == [
        ("long", 120),
        ("=short", 40),
    ]


def test_signals_are_put_beside_verdicts_on_the_same_responses(liked):
    found = signals_report(liked, Scope())["statistics"]["with_verdicts"]
    assert (found["value"], found["n"]) == (0.75, 40)
    assert found["interval"][0] < 0.75 < found["interval"][1]


def test_what_signals_cannot_say_has_a_reason(project):
    """One person, one response: no agreement, no alpha, no verdict."""
    comparison = judged(project, [(factories.user(), 1)])
    signalled(project, comparison.candidates.first(), (factories.user(), True))
    services.catch_up(project=project)
    found = signals_report(project, Scope())["statistics"]
    assert found["accepted"]["value"] == 1.0
    for name in ("same_signal", "alpha_signals", "with_verdicts", "accepted_long"):
        assert found[name]["value"] is None
        assert found[name]["reason"].endswith(".")


def test_the_page_shows_figures_with_intervals_and_a_csv_without_formulas(client, admin, liked):
    content = client.get(reverse("quality-signals", args=[liked.pk])).content.decode()
    assert "160 signals by 3 people on 80 responses" in content
    assert "Signals and verdicts" in content
    answer = client.get(reverse("quality-signals-table", args=[liked.pk]))
    rows = list(csv.reader(b"".join(answer.streaming_content).decode().splitlines()))
    assert ["accepted", "0.5"] in [row[:2] for row in rows]
    assert len(rows) == 1 + 6 + 2
    assert not any(cell.startswith("=") for row in rows for cell in row)


def test_the_page_names_the_policy_that_wrote_a_response(client, admin, project):
    policy = factories.policy(project, name="chat", number=3)
    wrote = factories.candidate(factories.prompt(project), policy=policy)
    signalled(project, wrote, (factories.user(), True))
    content = client.get(reverse("quality-signals", args=[project.pk])).content.decode()
    assert '<th scope="row">chat v3</th>' in content


def test_a_project_without_signals_says_how_to_bring_them(client, api, admin, project):
    content = client.get(reverse("quality-signals", args=[project.pk])).content.decode()
    assert "No signal yet" in content
    assert api.get(reverse("api-signals", args=[project.pk])).json()["signals"] == 0


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("", 160),
        ("?language=de", 4),
        ("?tag=support", 4),
        ("?days=7", 156),
        (f"?since={TEN_DAYS_AGO}", 156),
        (f"?until={TEN_DAYS_AGO}", 4),
    ],
)
def test_the_page_and_its_csv_follow_the_filters(client, admin, liked, asked, count):
    first = liked.signals.order_by("pk")[:4].values_list("pk", "prompt_id")
    keys, prompts = zip(*first, strict=True)
    liked.prompts.filter(pk__in=prompts).update(language="de", tags=["support"])
    liked.signals.filter(pk__in=keys).update(created_at=timezone.now() - timedelta(days=30))
    url = reverse("quality-signals", args=[liked.pk])
    assert client.get(url + asked).context["report"]["signals"] == count
    table = client.get(reverse("quality-signals-table", args=[liked.pk]) + asked)
    rows = list(csv.reader(b"".join(table.streaming_content).decode().splitlines()))
    assert int(rows[1][4]) == count


def test_signals_of_chosen_labelers_alone(client, admin, liked):
    one = liked.signals.order_by("pk").first().labeler_id
    page = client.get(reverse("quality-signals", args=[liked.pk]) + f"?labeler={one}")
    assert page.context["report"]["people"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("labelers", "people"), ("guideline", "1"), ("criterion", "tone"), ("batch", "3")],
)
def test_a_filter_that_signals_do_not_have_is_named(name, value):
    asked = Scope.from_query({"days": "7", name: value}, zone=UTC)
    with pytest.raises(InvalidInput, match=f"no filter {name}; they have days, since, until"):
        asked.having_only(SIGNAL_FILTERS, what="Signals")


@pytest.mark.parametrize("route", ["api-signals", "quality-signals", "quality-signals-table"])
def test_a_filter_that_signals_do_not_have_is_refused(client, admin, project, route):
    answer = client.get(reverse(route, args=[project.pk]) + "?days=7&batch=3")
    assert answer.status_code == 400
    assert "no filter batch" in answer.text


def test_the_tab_of_signals_takes_along_the_filters_that_signals_have(client, admin, project):
    asked = "?labelers=people&guideline=&criterion=overall&days=7&tag=support"
    page = client.get(reverse("quality-agreement", args=[project.pk]) + asked)
    tab = next(one for one in page.context["tabs"] if one.label == "Signals")
    assert tab.url == reverse("quality-signals", args=[project.pk]) + "?days=7&tag=support"
    assert client.get(tab.url).status_code == 200


def test_filters_that_leave_no_signal_say_so(client, admin, liked):
    page = client.get(reverse("quality-signals", args=[liked.pk]) + "?language=eo")
    assert "No signal passes these filters" in page.text


def test_all_signals_are_read_once_until_others_come(liked, monkeypatch):
    before = signals_report(liked, Scope())
    monkeypatch.setattr(signals, "computed_signals", lambda *_: {"signals": "anew"})
    assert signals_report(liked, Scope()) == before
    signalled(liked, liked.candidates.first(), (factories.user(), True))
    assert signals_report(liked, Scope()) == {"signals": "anew"}
