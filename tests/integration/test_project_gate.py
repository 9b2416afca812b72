"""Every row is found through its project: strangers find nothing, members need the role."""

import pytest
from django.db import IntegrityError, connection, transaction

from annotation.comparisons.models import Judgment
from annotation.core.errors import Forbidden, NotFound
from annotation.projects.models import Role
from annotation.projects.selectors import project_for
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_member_with_the_role_passes_the_gate():
    project = factories.project()
    admin = factories.member(project, Role.ADMIN)
    assert project_for(admin, project.pk, Role.ADMIN) == project


def test_a_stranger_cannot_tell_a_project_from_a_missing_one():
    project, stranger = factories.project(), factories.user()
    with pytest.raises(NotFound):
        project_for(stranger, project.pk)


def test_a_member_without_the_role_is_told_which_role_is_needed():
    project = factories.project()
    labeler = factories.member(project, Role.LABELER)
    with pytest.raises(Forbidden, match="admin"):
        project_for(labeler, project.pk, Role.ADMIN)


@pytest.mark.parametrize("kind", ["comparison", "candidate"])
def test_the_database_refuses_what_is_of_another_project_than_its_prompt(kind):
    of_prompt = factories.comparison(factories.prompt(factories.project()))
    row = of_prompt if kind == "comparison" else of_prompt.candidates.first()
    refused = pytest.raises(IntegrityError, match=f"a_{kind}_is_of_the_prompts_project")
    with refused, transaction.atomic():
        type(row).objects.filter(pk=row.pk).update(project=factories.project())
        connection.check_constraints()


def test_the_database_refuses_a_judgment_of_another_project_than_its_comparison():
    row = factories.comparison(factories.prompt(factories.project()))
    judgment = factories.judgment(row)
    refused = pytest.raises(IntegrityError, match="a_judgment_is_of_the_comparisons_project")
    with refused, transaction.atomic():
        Judgment.objects.filter(pk=judgment.pk).update(project=factories.project())
        connection.check_constraints()
