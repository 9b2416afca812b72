"""The project gate: every row is found through its project. An id from a request proves nothing."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from annotation.accounts.models import User
from annotation.core.errors import Forbidden, NotFound
from annotation.projects.models import Guideline, Membership, Project, Role


def roles_of(user: User | AnonymousUser, project_id: int) -> frozenset[Role]:
    """The roles this user holds in the project; none for a stranger."""
    if not user.is_authenticated:
        return frozenset()
    rows = Membership.objects.filter(project_id=project_id, user_id=user.pk)
    return frozenset(Role(role) for role in rows.values_list("role", flat=True))


def project_for(user: User | AnonymousUser, project_id: int, *allowed: Role) -> Project:
    """The project, if the user holds one of the allowed roles (any role if none is named).

    Raises NotFound for a stranger (so that ids cannot be probed) and Forbidden for a member without the role.
    """
    held = roles_of(user, project_id)
    project = Project.objects.filter(pk=project_id).first() if held else None
    if project is None:
        raise NotFound("There is no such project, or you are not a member of it.")
    if allowed and not held & set(allowed):
        wanted = " or ".join(role.value for role in allowed)
        raise Forbidden(f"This needs the role {wanted} in {project.name}; ask one of its admins.")
    return project


def projects_of(user: User) -> QuerySet[Project]:
    """The projects a user is a member of, newest first."""
    mine = Membership.objects.filter(user=user).values("project_id")
    return Project.objects.filter(pk__in=mine, is_archived=False).order_by("-pk")


def current_guideline(project: Project) -> Guideline | None:
    """The newest version of the project's guideline; None if it has none yet."""
    return project.guidelines.order_by("-version").first()
