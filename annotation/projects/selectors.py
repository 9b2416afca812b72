"""The project gate: every row is found through its project. An id from a request proves nothing."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.accounts.authentication import hash_key
from annotation.accounts.models import User
from annotation.audit.models import AuditEvent
from annotation.core.errors import Forbidden, NotFound
from annotation.projects.models import Criterion, Guideline, Invitation, Membership, Project, Role


def criterion_titles(project_id: int) -> dict[str, str]:
    """What people read of the criteria that have a title, by name."""
    titled = Criterion.objects.filter(project_id=project_id).exclude(title="")
    return dict(titled.values_list("name", "title"))


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
        raise NotFound(_("There is no such project, or you are not a member of it."))
    if allowed and not held & set(allowed):
        wanted = _(" or ").join(role.value for role in allowed)
        sentence = _("This needs the role %(roles)s in %(project)s; ask one of its admins.")
        raise Forbidden(sentence % {"roles": wanted, "project": project.name})
    return project


def projects_of(user: User) -> QuerySet[Project]:
    """The projects a user is a member of, newest first."""
    mine = Membership.objects.filter(user=user).values("project_id")
    return Project.objects.filter(pk__in=mine, is_archived=False).order_by("-pk")


def behind_early_stop() -> QuerySet[Project]:
    """Projects whose comparisons do not follow the setting of early stop yet, and that no worker holds."""
    is_free = Q(early_stop_held_until=None) | Q(early_stop_held_until__lt=timezone.now())
    return Project.objects.filter(is_free, is_early_stop_settled=False).order_by("pk")


def current_guideline(project: Project) -> Guideline | None:
    """The newest version of the project's guideline; None if it has none yet."""
    return project.guidelines.order_by("-version").first()


def guideline_of(*, project: Project, version: int) -> Guideline:
    """One version of the project's guideline; NotFound otherwise."""
    row = project.guidelines.select_related("project").filter(version=version).first()
    if row is None:
        raise NotFound(f"The guideline has no version {version}.")
    return row


class ProjectEntry(NamedTuple):
    """A project on someone's start page, with the roles held there."""

    project: Project
    roles: list[Role]


def project_list(user: User) -> list[ProjectEntry]:
    """All projects of a person, archived ones last, in one query."""
    rows = Membership.objects.filter(user=user).select_related("project")
    roles: defaultdict[Project, list[Role]] = defaultdict(list)
    for row in rows.order_by("project__is_archived", "-project_id", "role"):
        roles[row.project].append(Role(row.role))
    return [ProjectEntry(project, held) for project, held in roles.items()]


def may_create_projects(user: User) -> bool:
    """Staff, and whoever is admin of a project already; an invited labeler is not."""
    return user.is_staff or Membership.objects.filter(user=user, role=Role.ADMIN).exists()


class Member(NamedTuple):
    """A person of the project with all roles held there, and what they are as a labeler."""

    user: User
    roles: list[Role]
    languages: list[str]  # empty: any
    is_paused: bool


def members_of(project: Project) -> list[Member]:
    """The members by name, each once."""
    rows = project.memberships.select_related("user").order_by("user__username", "role")
    held: defaultdict[User, list[Membership]] = defaultdict(list)
    for row in rows:
        held[row.user].append(row)
    return [_member(user, theirs) for user, theirs in held.items()]


def _member(user: User, rows: Sequence[Membership]) -> Member:
    labeler = next((row for row in rows if row.role == Role.LABELER), None)
    return Member(
        user,
        [Role(row.role) for row in rows],
        languages=labeler.languages if labeler else [],
        is_paused=labeler is not None and labeler.paused_at is not None,
    )


def usable_invitations() -> QuerySet[Invitation]:
    """Invitations that still open a door."""
    return Invitation.objects.filter(
        accepted_at=None, revoked_at=None, expires_at__gt=timezone.now(), project__is_archived=False
    ).order_by("-pk")


def invitation_for(token: str) -> Invitation:
    """The open invitation that this link carries."""
    rows = usable_invitations().select_related("project", "created_by")
    invitation = rows.filter(token_hash=hash_key(token)).first()
    if invitation is None:
        raise NotFound(
            _("This invitation was used, withdrawn or has expired; ask for another link.")
        )
    return invitation


def audit_of(project: Project) -> QuerySet[AuditEvent]:
    """What was done in the project, newest first."""
    rows = AuditEvent.objects.filter(project_id=project.pk)
    return rows.select_related("actor").order_by("-pk")


class NavigationItem(NamedTuple):
    """One entry of the project's navigation."""

    section: str
    label: str | Promise
    url: str


SECTIONS = (
    ("overview", gettext_lazy("Overview"), "", frozenset(Role)),
    ("label", gettext_lazy("Label"), "label/", frozenset({Role.LABELER})),
    ("write", gettext_lazy("Write"), "write/", frozenset({Role.LABELER})),
    ("my-work", gettext_lazy("My work"), "my-work/", frozenset({Role.LABELER})),
    ("prompts", gettext_lazy("Prompts"), "prompts/", frozenset({Role.ADMIN, Role.ENGINEER})),
    (
        "generation",
        gettext_lazy("Candidates"),
        "generation/",
        frozenset({Role.ADMIN, Role.ENGINEER}),
    ),
    ("comparisons", gettext_lazy("Comparisons"), "comparisons/", frozenset({Role.ADMIN})),
    ("demonstrations", gettext_lazy("Demonstrations"), "demonstrations/", frozenset({Role.ADMIN})),
    ("judges", gettext_lazy("Judges"), "judges/", frozenset({Role.ADMIN, Role.ENGINEER})),
    ("agreement", gettext_lazy("Agreement"), "agreement/", frozenset({Role.ADMIN})),
    ("datasets", gettext_lazy("Datasets"), "datasets/", frozenset({Role.ENGINEER, Role.ADMIN})),
    ("rounds", gettext_lazy("Rounds"), "rounds/", frozenset({Role.ENGINEER})),
    ("runs", gettext_lazy("Runs"), "runs/", frozenset({Role.ENGINEER})),
    (
        "evaluations",
        gettext_lazy("Evaluations"),
        "evaluations/",
        frozenset({Role.ENGINEER}),
    ),
    ("models", gettext_lazy("Models"), "models/", frozenset({Role.ENGINEER})),
    ("playground", gettext_lazy("Playground"), "playground/", frozenset({Role.ENGINEER})),
    ("settings", gettext_lazy("Settings"), "settings/", frozenset({Role.ADMIN})),
)


def page_context(user: User, project: Project, section: str) -> dict[str, Any]:
    """What `project.html` needs: the project, the section that is open, the sections this user may see."""
    held = roles_of(user, project.pk)
    navigation = [
        NavigationItem(key, label, f"/projects/{project.pk}/{path}")
        for key, label, path, allowed in SECTIONS
        if held & allowed
    ]
    return {"project": project, "section": section, "roles": held, "navigation": navigation}
