"""Servers that workers ask: registered by an admin of the project, for every use, and only while they are admin."""

from pathlib import Path

import pytest
from django.urls import reverse

from annotation.core.errors import InvalidInput
from annotation.generation.services import request_candidates, request_playground
from annotation.judges.services.appointing import appoint_judge, publish_constitution
from annotation.projects.models import Membership, Role
from annotation.registry.models import ModelVersion
from annotation.runs.services import check_sampler
from tests import factories
from workers.generators.base import GeneratorFailed
from workers.generators.choosing import generator_for
from workers.generators.http import HttpGenerator

pytestmark = pytest.mark.django_db
SERVER = {
    "kind": "policy",
    "name": "vllm",
    "backend": "http",
    "location": "http://10.0.0.7:8000/v1",
    "remote_model": "base",
    "api_key_variable": "",
}
PRINCIPLES = [{"title": "Useful", "text": "Prefer the response that helps more."}]
TURNS = [{"role": "user", "content": "Why?"}]


@pytest.fixture
def model(project):
    factories.prompt(project)
    return factories.policy(project, **factories.server_by_an_admin(project))


def register(api, client, project, person):
    """By the API and by the form; the status of both."""
    api.force_authenticate(person)
    client.force_login(person)
    return (
        api.post(reverse("api-model-list", args=[project.pk]), SERVER, format="json").status_code,
        client.post(reverse("registry-model-new", args=[project.pk]), SERVER).status_code,
    )


@pytest.mark.parametrize(
    ("role", "statuses", "made"),
    [(Role.ADMIN, (201, 302), 2), (Role.ENGINEER, (403, 400), 0), (Role.LABELER, (403, 403), 0)],
)
def test_an_admin_registers_servers_and_nobody_else(api, client, project, role, statuses, made):
    assert register(api, client, project, factories.member(project, role)) == statuses
    assert ModelVersion.objects.filter(backend="http").count() == made


def test_an_admin_of_another_project_registers_none_here(api, client, project):
    stranger = factories.member(factories.project(), Role.ADMIN)
    assert register(api, client, project, stranger) == (404, 404)


def test_an_admin_elsewhere_who_is_engineer_here_registers_none(api, client, project):
    person = factories.member(factories.project(), Role.ADMIN)
    Membership.objects.create(project=project, user=person, role=Role.ENGINEER)
    assert register(api, client, project, person) == (403, 400)


def test_the_form_of_an_engineer_offers_no_server_and_says_whose_that_is(client, project, engineer):
    client.force_login(engineer)
    page = client.get(reverse("registry-model-new", args=[project.pk])).text
    assert "On a server" not in page
    assert "An admin of this project registers models on servers." in page


def uses_of(project, model, actor):
    publish_constitution(project=project, principles=PRINCIPLES, actor=actor)
    return {
        "policy": lambda: request_candidates(project=project, policy=model, actor=actor),
        "policies": lambda: request_playground(
            project=project, turns=TURNS, policies=[model], actor=actor
        ),
        "model": lambda: appoint_judge(
            project=project, name=f"Judge {project.judges.count()}", model=model, actor=actor
        ),
        "sampler": lambda: check_sampler(project, "grpo", model),
    }


@pytest.mark.parametrize("use", ["policy", "policies", "model", "sampler"])
def test_every_use_takes_a_server_of_an_admin_and_no_other(project, engineer, model, use):
    ask = uses_of(project, model, engineer)[use]
    ask()
    ModelVersion.objects.filter(pk=model.pk).update(created_by=engineer)
    with pytest.raises(InvalidInput) as refused:
        ask()
    assert refused.value.field == use


@pytest.mark.parametrize("change", ["by_an_engineer", "admin_left", "account_gone"])
def test_a_worker_asks_no_server_that_nobody_answers_for(
    project, engineer, model, client, tmp_path: Path, change
):
    """Looked at anew as a job starts, whatever was right when it was queued."""
    assert isinstance(generator_for(model, tmp_path), HttpGenerator)
    admin = model.created_by
    if change == "admin_left":
        Membership.objects.filter(user=admin).delete()
    else:
        person = engineer if change == "by_an_engineer" else None
        ModelVersion.objects.filter(pk=model.pk).update(created_by=person)
    with pytest.raises(GeneratorFailed, match="An admin can register the server"):
        generator_for(ModelVersion.objects.get(pk=model.pk), tmp_path)
    client.force_login(engineer)
    page = client.get(reverse("registry-model", args=[project.pk, model.pk])).text
    assert "no worker asks it" in page
