"""Nothing on the pages of labelers and of setting up stays English: texts are compared with those in German."""

import re
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse

from annotation.accounts.models import User
from annotation.comparisons.models import Assignment
from annotation.projects.models import Project, Role
from annotation.projects.services import inviting, projects
from annotation.quality import acts, adjudication, disputes, rules
from annotation.quality.adjudication import Verdict
from annotation.quality.models import Adjudication
from tests import factories
from tests.integration.test_gold_and_exam import answered, marked

pytestmark = pytest.mark.django_db
READ_ALOUD = {"aria-label", "placeholder", "title", "alt"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
UNSEEN = {"script", "style", "title", "kbd", "code", "textarea", "pre", "bdi"}
SAME_IN_BOTH = {
    *(
        "Concord",
        "ada",
        "Support tone",
        "English",
        "Deutsch",
        "Prompt",
        "Prompts",
        "Name",
        "labeler",
    ),
    *("Labels", "Labeler", "Version 1", "Policy", "Webhooks", "helpful, honest, harmless, concise"),
    *("follows-format", "kim@example.org", "kim@example.org, bo@example.org", "rule."),
    *("Label Studio", "Argilla"),
    *("Normal", "System", "Position", "Version", "Start", "Flag", "Text", "in", "Kontrast", "CSV"),
}
WORD = re.compile(r"[A-Za-z]{2,}")


class Texts(HTMLParser):
    """The texts of a page that someone sees or hears; what people and models wrote is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        classes = (values.get("class") or "").split()
        hides = tag in UNSEEN or "prose" in classes or "said" in classes or "token" in classes
        hides = hides or values.get("translate") == "no"  # names of places
        if tag not in VOID:
            self.open.append((tag, hides))
        if not any(hidden for _tag, hidden in self.open):
            self.found += [value for name, value in attrs if name in READ_ALOUD and value]

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(hidden for _tag, hidden in self.open):
            self.found.append(" ".join(data.split()))


def texts(user: User, address: str, language: str) -> set[str]:
    client = Client(headers={"accept-language": language})
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200, address
    reader = Texts()
    reader.feed(answer.text)
    told = {re.sub(r"^\d+ |[ ·]+$", "", one) for one in reader.found}
    return {one for one in told if WORD.search(one)}


def left_in_english(user: User, address: str) -> set[str]:
    return (texts(user, address, "en") & texts(user, address, "de")) - SAME_IN_BOTH


@pytest.fixture
def project() -> Project:
    return factories.project(name="Support tone", min_reading_seconds=0, rationale_rule="optional")


@pytest.fixture
def labeler(project) -> User:
    return factories.member(project, username="ada")


@pytest.mark.parametrize("size", [2, 4])
def test_the_labeling_page_is_german_throughout(project, labeler, size):
    factories.comparison(factories.prompt(project), size=size)
    project.guidelines.create(version=1, text="Be kind.")
    assert left_in_english(labeler, f"/projects/{project.pk}/label/") == set()
    assert Assignment.objects.count() == 1


def test_an_empty_queue_is_german_throughout(project, labeler):
    assert left_in_english(labeler, f"/projects/{project.pk}/label/") == set()


@pytest.mark.parametrize("page", ["/", "/account/", "/accounts/logout/", "/account/tokens/"])
def test_the_pages_of_the_account_are_german_throughout(project, labeler, page):
    assert left_in_english(labeler, page) == set()


@pytest.mark.parametrize("page", ["", "my-work/", "write/"])
def test_the_labelers_pages_of_a_project_are_german_throughout(project, labeler, page):
    assert left_in_english(labeler, f"/projects/{project.pk}/{page}") == set()


def ruled_on(project: Project, labeler: User) -> Adjudication:
    """An adjudication of what this labeler judged, two rules that leave them out, and one that has paused them."""
    admin = factories.member(project, Role.ADMIN)
    comparison = factories.comparison(factories.prompt(project), overlap=3)
    first, second = comparison.candidate_ids
    factories.judgment(
        comparison, labeler, ranking=[[second], [first]], shown_order=[first, second]
    )
    answered(marked(project, admin), labeler, right=False)
    for kind, params in {
        "exclude": {"labeler": labeler.pk},
        "gold_minimum": {"accuracy": 1, "answers": 1},
        "pause_on_gold": {"failed": 1, "of_last": 1},
    }.items():
        rules.save_rule(project=project, kind=kind, params=params, actor=admin)
    rules.enforce(project=project)
    return adjudication.adjudicate(
        comparison=comparison,
        cause="guideline_gap",
        verdict=Verdict(ranking=[[first], [second]], strengths=[3]),
        actor=admin,
    )


@pytest.mark.parametrize("page", ["", "label/", "my-work/"])
def test_what_is_decided_about_a_labeler_is_told_in_german(project, labeler, page):
    ruled_on(project, labeler)
    (act,) = acts.acts_on(project, labeler.pk)
    disputes.open_dispute(
        project=project, labeler=labeler, subject="pause", subject_id=act.pk, text="Nein."
    )
    address = f"/projects/{project.pk}/{page}"
    assert left_in_english(labeler, address) - {"Nein.", "UTC"} == set()
    assert "1 Ihrer letzten 1 Antworten" in " ".join(texts(labeler, address, "de"))


def test_what_is_decided_about_a_labeler_is_there_to_be_told(project, labeler):
    ruled_on(project, labeler)
    told = " ".join(texts(labeler, f"/projects/{project.pk}/my-work/", "de"))
    assert "Die Richtlinie sagt dazu nichts" in told
    assert "Alle Urteile von ada werden weggelassen." in told
    assert "nach 1 Antworten sicher unter 100 % liegen" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "Bitte ausfüllen: Text."), ("x" * 2001, "Text: 2001 Zeichen"), ("Nein.", "schon")],
)
def test_an_appeal_is_refused_in_german(project, labeler, text, told):
    made = ruled_on(project, labeler)
    sent = {"subject": "adjudication", "subject_id": made.pk, "text": text}
    client = Client(headers={"accept-language": "de"})
    client.force_login(labeler)
    url = reverse("quality-my-dispute", args=[project.pk])
    client.post(url, sent)
    assert told in client.post(url, sent, follow=True).text


def test_what_admins_read_of_rules_stays_as_their_pages_are(project, labeler):
    ruled_on(project, labeler)
    admin = project.memberships.get(role=Role.ADMIN).user
    told = " ".join(texts(admin, f"/projects/{project.pk}/agreement/rules/", "de"))
    assert "Leave out all judgments of ada." in told


SET_UP = ("prompts", "responses", "rubric", "guideline", "answers", "labels", "people", "start")


@pytest.mark.parametrize(
    "page",
    [
        *(f"setup/{step}/" for step in SET_UP),
        *(f"settings/{tab}" for tab in ("", "guideline/", "members/")),
        "estimate/",
    ],
)
def test_the_pages_of_setting_up_are_german_throughout(page):
    admin = factories.user("ada", is_staff=True)
    project = projects.create_project(name="Support tone", actor=admin)
    project.criteria.all().delete()  # their questions are the project's own words
    factories.comparison(factories.prompt(project))
    inviting.invite_people(
        project=project,
        addresses=["kim@example.org"],
        role=Role.LABELER,
        actor=admin,
        link_of=lambda token: token,
    )
    assert left_in_english(admin, f"/projects/{project.pk}/{page}") == set()
