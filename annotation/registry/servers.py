"""Which servers a project's workers ask: those that an admin of it registered.

A worker sends requests from within its network, where private addresses answer too. For answers, verdicts and
samples alike the word of an admin decides, as a job starts: of who is admin then.
"""

from django.db.models import QuerySet

from annotation.accounts.models import User
from annotation.core.errors import Forbidden, InvalidInput
from annotation.projects.models import Membership, Project, Role
from annotation.registry.models import ModelVersion


def may_register_servers(user: User, project: Project) -> bool:
    """Whether this person is an admin of the project."""
    return Membership.objects.filter(project=project, role=Role.ADMIN, user=user).exists()


def servers_of(project: Project) -> QuerySet[ModelVersion]:
    """Models on servers that someone registered who is admin of the project now, newest first."""
    admins = Membership.objects.filter(project=project, role=Role.ADMIN).values("user")
    rows = ModelVersion.objects.filter(project=project, backend=ModelVersion.Backend.HTTP)
    return rows.filter(created_by__in=admins).order_by("-pk")


def may_be_asked(model: ModelVersion) -> bool:
    """Whether workers may ask it: weights that lie here always, a server by the word of an admin."""
    is_local = model.backend == ModelVersion.Backend.LOCAL
    return is_local or servers_of(model.project).filter(pk=model.pk).exists()


def check_may_be_asked(model: ModelVersion, *, field: str) -> None:
    """Refuse a server that no admin answers for. Raises InvalidInput at ``field``."""
    if not may_be_asked(model):
        raise InvalidInput.at(field, refusal(model))


def refusal(model: ModelVersion) -> str:
    """Why workers do not ask a server, and what to do."""
    return (
        f"{model} lies on a server that nobody who is admin of this project now has registered, so no worker asks "
        "it. An admin can register the server on Models; then choose that one."
    )


def check_may_register(user: User, project: Project) -> None:
    """Refuse a server's address from anybody but an admin. Raises Forbidden."""
    if not may_register_servers(user, project):
        raise Forbidden(
            "Workers ask a server from within their network, so an admin of this project registers it. Ask one, "
            "or register a folder or a hub name."
        )
