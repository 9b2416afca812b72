"""Who belongs to a project: members, their roles, and the links that invite them."""

import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from annotation.accounts.authentication import hash_key
from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import FormerLabeler, Invitation, Membership, Project, Role
from annotation.projects.selectors import usable_invitations

INVITATION_DAYS = 14
_STANDING = ("languages", "qualified_at", "paused_at", "pause_reason")  # of a labeler


class NewInvitation(NamedTuple):
    """An invitation with the only copy of its token: show the link once."""

    invitation: Invitation
    token: str


@transaction.atomic
def add_member(
    *,
    project: Project,
    username: str,
    role: Role,
    actor: User | None,
    languages: Sequence[str] = (),
) -> Membership:
    """Give a person who has an account already a role; ``languages``: what a labeler gets, empty for any."""
    user = User.objects.filter(username__iexact=username.strip(), kind=User.Kind.PERSON).first()
    if user is None or not user.has_usable_password():
        raise InvalidInput.at(
            "username", f"There is no user {username!r}; send an invitation link instead."
        )
    membership, is_new = _give(project, user.pk, role)
    if not is_new:
        raise Conflict(f"{user.username} is {role.value} of this project already.")
    audit.record("member.added", membership, actor=actor, username=user.username, role=role.value)
    if languages and role == Role.LABELER:
        _set_languages(membership, languages, actor=actor)
    return membership


@transaction.atomic
def set_roles(
    *,
    project: Project,
    user_id: int,
    roles: Collection[Role],
    actor: User,
    languages: Sequence[str] | None = None,
) -> None:
    """Let a member hold exactly these roles; none removes the member. Never the last admin.

    1. Lock the project, so that two admins cannot remove each other at once.
    2. Refuse what would leave the project without an admin.
    3. Write the difference, and for a labeler the ``languages``: empty for any, None where they stay.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    rows = Membership.objects.filter(project=project, user_id=user_id).select_related("user")
    held = {Role(row.role): row for row in rows}
    if not held:
        raise NotFound("This person is not a member of the project.")
    if Role.ADMIN in held and Role.ADMIN not in roles:
        _refuse_without_admin(project, user_id)
    username = next(iter(held.values())).user.username
    for role in held.keys() - set(roles):
        audit.record("member.removed", held[role], actor=actor, username=username, role=role.value)
        _take(held[role])
    for role in set(roles) - held.keys():
        row, _is_new = _give(project, user_id, role)
        audit.record("member.added", row, actor=actor, username=username, role=role.value)
    if languages is not None and Role.LABELER in roles:
        labeler = Membership.objects.select_related("user").get(
            project=project, user_id=user_id, role=Role.LABELER
        )
        _set_languages(labeler, languages, actor=actor)


def _take(row: Membership) -> None:
    if row.role == Role.LABELER:
        FormerLabeler.objects.update_or_create(
            project_id=row.project_id,
            user_id=row.user_id,
            defaults={name: getattr(row, name) for name in _STANDING},
        )
    row.delete()


def _give(project: Project, user_id: int, role: Role) -> tuple[Membership, bool]:
    """The membership, and whether it is new; a labeler takes up again what they had: no role change ends a pause."""
    former = FormerLabeler.objects.filter(project=project, user_id=user_id)
    kept = former.values(*_STANDING).first() if role == Role.LABELER else None
    return Membership.objects.get_or_create(
        project=project, user_id=user_id, role=role, defaults=kept or {}
    )


def _set_languages(row: Membership, languages: Sequence[str], *, actor: User | None) -> None:
    before = row.languages
    if before == list(languages):
        return
    row.languages = list(languages)
    row.save(update_fields=["languages"])
    audit.record(
        "member.languages",
        row,
        actor=actor,
        username=row.user.username,
        languages=row.languages,
        before=before,
    )


def _refuse_without_admin(project: Project, user_id: int) -> None:
    others = project.memberships.filter(role=Role.ADMIN, user__is_active=True)
    if not others.exclude(user_id=user_id).exists():
        raise Conflict("This is the last admin of the project; make someone else admin first.")


@transaction.atomic
def invite(
    *,
    project: Project,
    role: Role,
    actor: User,
    email: str = "",
    note: str = "",
    languages: Sequence[str] = (),
    days: int = INVITATION_DAYS,
) -> NewInvitation:
    """Make a link that gives whoever opens it first this role, and a labeler these languages.

    ``email``: where the link is to be sent (`inviting`).
    """
    token = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        project=project,
        role=role,
        email=email,
        note=note,
        languages=list(languages),
        token_hash=hash_key(token),
        created_by=actor,
        expires_at=timezone.now() + timedelta(days=days),
    )
    audit.record(
        "invitation.made",
        invitation,
        actor=actor,
        role=role.value,
        email=email,
        note=note,
        languages=invitation.languages,
    )
    return NewInvitation(invitation, token)


@transaction.atomic
def accept_invitation(*, invitation: Invitation, user: User) -> Project:
    """Use up the invitation; only the first who accepts becomes a member by it."""
    open_row = usable_invitations().filter(pk=invitation.pk)
    if not open_row.update(accepted_by=user, accepted_at=timezone.now()):
        raise Conflict("This invitation was used, withdrawn or has expired; ask for another.")
    membership, is_new = _give(invitation.project, user.pk, Role(invitation.role))
    audit.record(
        "invitation.accepted", membership, actor=user, username=user.username, role=invitation.role
    )
    is_narrowed = membership.role == Role.LABELER and (is_new or bool(membership.languages))
    if is_narrowed and invitation.languages:
        both = dict.fromkeys([*membership.languages, *invitation.languages])
        _set_languages(membership, list(both), actor=user)
    return invitation.project


@transaction.atomic
def revoke_invitation(*, project: Project, invitation_id: int, actor: User) -> None:
    """Withdraw a link that nobody has used."""
    rows = usable_invitations().filter(project=project, pk=invitation_id)
    invitation = rows.first()
    if invitation is None or not rows.update(revoked_at=timezone.now()):
        raise NotFound("There is no open invitation with this number.")
    audit.record("invitation.revoked", invitation, actor=actor, role=invitation.role)
