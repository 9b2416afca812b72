"""An upgrade that changes a formula shows: what older formulas computed is computed anew without a judgment."""

import hashlib
import json

import pytest
from celery import current_app
from django.urls import reverse

from annotation.core.jobs import Job
from annotation.generation.models import Candidate
from annotation.projects.models import Role
from annotation.quality import figures, services, tally
from annotation.quality.models import AgreementReport, AgreementTally, LabelerModel
from annotation.quality.report import headline
from annotation.quality.scope import Scope
from annotation.quality.selectors import computed_report, view_of, with_old_reports
from tests import factories
from workers import housekeeping

pytestmark = pytest.mark.django_db
# Of each number of formulas, what it makes of `judged`. Where yours differs: raise FORMULAS, and add the line.
DIGESTS = dict.fromkeys((1, 2, 3), "3581605ac41876be") | dict.fromkeys((4, 5), "8276b15a7b69dfeb")
DIGESTS[6] = "b724997f2b91c7f3"


@pytest.fixture
def judged(project):
    """Forty pairs judged by three who differ now and then, with ties, all bad, known sides and a machine judge."""
    people = [factories.user(f"labeler-{name}") for name in "abc"]
    machine = factories.user("judge", kind="machine")
    for number in range(40):
        comparison = factories.comparison(factories.prompt(project), overlap=4)
        first, second = comparison.candidate_ids
        Candidate.objects.filter(pk=first).update(text="Longer." * (1 + number % 2))
        Candidate.objects.filter(pk=second).update(text="Longer?")
        said = [[[first], [second]], [[second], [first]], [[first, second]], []]
        for place, labeler in enumerate([*people, machine]):
            ranking = said[(number % 7 + (number % (place + 4) == 0)) % 4]
            factories.judgment(
                comparison,
                labeler,
                ranking=ranking,
                strengths=[1 + number % 3] * (len(ranking) - 1),
                is_all_bad=not ranking,
                shown_order=[second, first] if (number + place) % 3 else [first, second],
                active_ms=20_000,
            )
    services.refresh_agreement(project=project)
    return project


@pytest.fixture
def upgraded(judged):
    """As an upgrade finds it: figures and tables of formulas that are no more."""
    AgreementReport.objects.update(formulas=0, data={"statistics": {"percent": {"value": 0.123}}})
    old = {"statistics": {"percent": {"value": 0.123}}}
    AgreementTally.objects.update(formulas=0, figures=old)
    return judged


def values_of(data):
    """Every statistic of a report, without names and ids."""
    if isinstance(data, list):
        return [found for one in data for found in values_of(one)]
    if not isinstance(data, dict):
        return []
    own = [data["value"], *(data.get("interval") or ())] if "value" in data else []
    return [round(one, 5) + 0.0 for one in own if isinstance(one, float)] + [
        found for key in sorted(data) for found in values_of(data[key])
    ]


def test_whoever_changes_what_a_figure_says_raises_the_number_of_formulas(judged):
    values = values_of(computed_report(judged, Scope()))
    assert len(values) > 100
    digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
    assert DIGESTS[figures.FORMULAS] == digest


def test_a_report_of_older_formulas_is_computed_anew_without_a_judgment(upgraded):
    report = services.refresh_agreement(project=upgraded)
    assert report.formulas == figures.FORMULAS
    assert report.data["statistics"]["percent"]["value"] != 0.123
    assert services.refresh_agreement(project=upgraded) is None


def test_figures_of_older_formulas_are_counted_anew(upgraded):
    assert tally.fresh(upgraded, headline) is None
    tally.ensure(upgraded)
    assert tally.fresh(upgraded, headline).figures["statistics"]["percent"]["value"] != 0.123


def test_the_page_counts_a_small_project_anew_at_once_and_says_that_its_tables_are_older(
    upgraded, client
):
    client.force_login(factories.member(upgraded, Role.ADMIN))
    page = client.get(reverse("quality-agreement", args=[upgraded.pk]))
    assert page.context["report"]["statistics"]["percent"]["value"] != 0.123
    assert not view_of(upgraded, Scope()).are_tables_current


def test_the_sweep_rings_for_reports_of_older_formulas(upgraded, monkeypatch):
    rung = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: rung.append((name, args)))
    monkeypatch.setattr(housekeeping, "waiting_messages", lambda _queue: 0)
    housekeeping.sweep()
    assert rung == [(Job.REFRESH_AGREEMENT, [upgraded.pk])]
    services.refresh_agreement(project=upgraded)
    assert not with_old_reports()


def test_the_sweep_rings_for_a_project_whose_report_an_upgrade_deleted(upgraded):
    AgreementReport.objects.all().delete()
    assert list(with_old_reports()) == [upgraded]
    services.refresh_agreement(project=upgraded)
    assert AgreementReport.objects.exists()
    assert not with_old_reports()


def test_the_model_of_the_labelers_is_fitted_anew_by_newer_formulas(upgraded, monkeypatch):
    """Among many judgments it is kept else until they grow by a twentieth."""
    monkeypatch.setattr(services, "REFIT_ROWS", 1)
    LabelerModel.objects.update(class_shares=[0.0, 1.0, 0.0])
    services.refresh_agreement(project=upgraded)
    assert LabelerModel.objects.get().class_shares != [0.0, 1.0, 0.0]
