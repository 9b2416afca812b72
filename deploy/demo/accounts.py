"""The demo's project and the three people who sign in to it; passwords are generated and shown once."""

import secrets
from dataclasses import dataclass

from annotation.accounts.models import User
from annotation.projects.models import Membership, Project, Role
from annotation.projects.services.projects import create_project, publish_guideline

GUIDELINE = """# What makes a response better

1. **Helpful**: it answers the question that was asked.
2. **Honest**: it claims nothing false and says when it does not know.
3. **Harmless**: it does no harm to the reader or to others.
4. **Concise**: it ends when the answer ends.

If you cannot tell the two apart after reading both, choose *about the same*. If neither is usable, choose *all bad*.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """One person a role, and the passwords of those that were made just now."""

    labeler: User
    admin: User
    engineer: User
    passwords: dict[str, str]


def prepare(name: str, *, overlap: int) -> tuple[People, Project]:
    """The three people and the project, made where they are missing."""
    passwords: dict[str, str] = {}
    labeler, admin, engineer = (_person(role, passwords) for role in Role)
    project = Project.objects.filter(name=name).first()
    if project is None:
        project = create_project(
            name=name, description="Made by make demo.", overlap=overlap, actor=admin
        )
        publish_guideline(project=project, text=GUIDELINE, actor=admin)
    for user, role in ((labeler, Role.LABELER), (engineer, Role.ENGINEER), (admin, Role.ADMIN)):
        Membership.objects.get_or_create(project=project, user=user, role=role)
    people = People(labeler=labeler, admin=admin, engineer=engineer, passwords=passwords)
    return people, project


def _person(role: Role, passwords: dict[str, str]) -> User:
    username = f"demo-{role.value}"
    user = User.objects.filter(username=username).first()
    if user is None:
        passwords[username] = secrets.token_urlsafe(12)
        user = User.objects.create_user(username, password=passwords[username])
    return user


def card(people: People) -> str:
    """How to sign in, for the terminal."""
    if not people.passwords:
        return (
            "Sign in as demo-labeler, demo-admin or demo-engineer with the passwords shown at the first start "
            "(a new one: .venv/bin/python manage.py changepassword demo-admin)."
        )
    rows = [f"  {name.ljust(14)}  {password}" for name, password in people.passwords.items()]
    return "\n".join(["Sign in (these passwords are shown once):", *rows])
