"""The overlap of many comparisons is drawn again by a worker: a part in the request, the rest with progress."""

import pytest
from django.urls import reverse

from annotation.audit.models import AuditEvent
from annotation.comparisons.models import OverlapDraw
from annotation.comparisons.services import overlap, queue
from annotation.projects.services import projects
from tests import factories
from workers import comparisons as tasks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    monkeypatch.setattr(overlap, "AT_ONCE", 3)


@pytest.fixture
def project():
    """Eight comparisons with a label each, under settings that say three of all."""
    project = factories.project(overlap=3, overlap_share=1.0)
    for _ in range(8):
        factories.comparison(factories.prompt(project), overlap=1)
    return project


def overlaps(project):
    return list(project.comparisons.order_by("pk").values_list("overlap", flat=True))


def test_a_request_draws_a_part_and_a_worker_the_rest(project, admin):
    draw = overlap.draw_overlap_again(project=project, actor=admin)
    assert overlaps(project) == [3, 3, 3, 1, 1, 1, 1, 1]
    assert (draw.progress_done, draw.progress_total) == (3, 8)
    assert not AuditEvent.objects.filter(verb="comparisons.redrawn").exists()
    tasks.draw_overlap(draw.pk)
    draw.refresh_from_db()
    assert overlaps(project) == [3] * 8
    assert (draw.status, draw.progress_done, draw.progress_total) == ("done", 8, 8)
    told = AuditEvent.objects.get(verb="comparisons.redrawn")
    assert (told.actor, told.data) == (admin, {"to_several": 8, "to_one": 0})


def test_what_fits_in_a_request_needs_no_worker(project, admin, monkeypatch):
    monkeypatch.setattr(overlap, "AT_ONCE", 8)
    assert overlap.draw_overlap_again(project=project, actor=admin) is None
    assert overlaps(project) == [3] * 8
    assert AuditEvent.objects.get(verb="comparisons.redrawn").data["to_several"] == 8


def test_another_worker_goes_on_where_the_first_was_lost(project, admin):
    draw = overlap.draw_overlap_again(project=project, actor=admin)

    def lost(done, total, unit):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        overlap.run_draw(draw_id=draw.pk, progress=lost)
    assert overlaps(project) == [3] * 6 + [1, 1]
    seen = []
    overlap.run_draw(draw_id=draw.pk, progress=lambda *told: seen.append(told))
    assert seen == [(8, 8, "comparisons")]
    assert overlaps(project) == [3] * 8
    assert AuditEvent.objects.get(verb="comparisons.redrawn").data["to_several"] == 8


def test_the_last_change_holds_for_all(project, admin):
    older = overlap.draw_overlap_again(project=project, actor=admin)
    projects.update_settings(project=project, actor=admin, overlap=2)
    newer = overlap.draw_overlap_again(project=project, actor=admin)
    older.refresh_from_db()
    assert older.status == "cancelled"
    tasks.draw_overlap(older.pk)
    tasks.draw_overlap(newer.pk)
    assert overlaps(project) == [2] * 8


def test_a_draw_goes_by_one_setting_from_its_first_comparison_to_its_last(project, admin, api):
    draw = overlap.draw_overlap_again(project=project, actor=admin)
    api.force_authenticate(admin)
    url = reverse("api-project-detail", args=[project.pk])
    sent = {"overlap": 2, "overlap_share": 0.0}
    assert api.patch(url, sent, format="json").status_code == 200
    tasks.draw_overlap(draw.pk)
    assert overlaps(project) == [3] * 8


def test_a_later_change_ends_the_draw_also_after_the_first_label_was_asked(project, admin):
    draw = overlap.draw_overlap_again(project=project, actor=admin)
    queue.lease_next_comparison(project=project, labeler=factories.member(project))
    projects.update_settings(project=project, actor=admin, overlap=2)
    assert overlap.draw_overlap_again(project=project, actor=admin) is None
    draw.refresh_from_db()
    assert draw.status == "cancelled"


def test_what_was_handed_out_meanwhile_keeps_its_overlap(project, admin):
    draw = overlap.draw_overlap_again(project=project, actor=admin)
    waiting = project.comparisons.order_by("pk").last()
    project.comparisons.filter(pk=waiting.pk).update(priority=9)
    leased = queue.lease_next_comparison(project=project, labeler=factories.member(project))
    assert leased.comparison_id == waiting.pk
    tasks.draw_overlap(draw.pk)
    assert overlaps(project) == [3] * 7 + [1]


def test_the_set_up_says_how_far_the_draw_is(project, admin, client):
    overlap.draw_overlap_again(project=project, actor=admin)
    page = client.get(reverse("overview-setup-step", args=[project.pk, "labels"])).content.decode()
    assert "is being drawn again: 3 of 8" in page
    side = client.get(reverse("overview-setup-side", args=[project.pk])).content.decode()
    assert f'hx-get="{reverse("overview-setup-side", args=[project.pk])}"' in side
    tasks.draw_overlap(OverlapDraw.objects.get().pk)
    side = client.get(reverse("overview-setup-side", args=[project.pk])).content.decode()
    assert "drawn again" not in side
    assert "What this comes to" in side


def test_what_is_not_saved_stays_in_view_while_a_draw_is_asked_for_again(project, admin, client):
    overlap.draw_overlap_again(project=project, actor=admin)
    url = reverse("overview-setup-step", args=[project.pk, "labels"])
    refused = client.post(url, {"overlap": "0"}, headers={"HX-Request": "true"}).content.decode()
    told, drawn = refused.split('id="drawn"')
    assert "Not saved yet." in told
    assert 'hx-target="#drawn"' in drawn
    again = client.get(reverse("overview-setup-side", args=[project.pk])).content.decode()
    assert 'hx-target="#drawn"' in again
    assert 'id="drawn"' not in again
