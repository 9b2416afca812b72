"""`manage.py create_user NAME [--project ID --role ROLE] [--staff]`: a person with a generated password."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from annotation.accounts.services import NewPerson, create_person
from annotation.core.errors import DomainError
from annotation.projects.models import Project, Role
from annotation.projects.services.members import add_member


class Command(BaseCommand):
    help = "Add a person who can sign in. The password is generated and shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--project", type=int, help="make the person a member of this project")
        parser.add_argument("--role", choices=Role.values, action="append", default=None)
        parser.add_argument("--staff", action="store_true", help="may make projects")

    def handle(self, *_args: Any, **options: Any) -> None:  # Any: Django's own options
        roles = options["role"] or []
        if bool(roles) != bool(options["project"]):
            raise CommandError("Give --project and --role together, or neither.")
        try:
            person = self._create(options["name"], options["project"], roles, options["staff"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"name      {person.user.username}\npassword  {person.password}")

    @transaction.atomic
    def _create(
        self, name: str, project_id: int | None, roles: list[str], is_staff: bool
    ) -> NewPerson:
        person = create_person(username=name, is_staff=is_staff)
        project = Project.objects.filter(pk=project_id or 0).first()
        if roles and project is None:
            raise CommandError(f"There is no project {project_id}.")
        for role in roles:
            assert project is not None  # noqa: S101 - refused above
            add_member(project=project, username=name, role=Role(role), actor=None)
        return person
