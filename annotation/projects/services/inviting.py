"""Invitations by mail: several at once, sent again, with a clear word where this server sends no mail."""

import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from annotation.accounts.authentication import hash_key
from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import Conflict, InvalidInput, NotFound
from annotation.projects.models import Invitation, Project, Role
from annotation.projects.services.members import INVITATION_DAYS, NewInvitation, invite

logger = logging.getLogger(__name__)
MOST_AT_ONCE = 100
NO_MAIL = (
    "This server sends no mail: EMAIL_URL is not set. Copy the links and send them yourself; "
    "each is shown this once."
)
LinkOf = Callable[[str], str]  # the whole address that carries a token


class Sent:
    """What became of one invitation: the mail went out, or here is the link to send by hand, and why."""

    def __init__(self, new: NewInvitation, link: str, problem: str) -> None:
        self.invitation, self.link, self.problem = new.invitation, link, problem

    @property
    def is_mailed(self) -> bool:
        return not self.problem


def has_mail() -> bool:
    """Whether this server is told of a mail server."""
    return not settings.EMAIL_BACKEND.endswith("dummy.EmailBackend")


def invite_people(
    *,
    project: Project,
    addresses: Sequence[str],
    role: Role,
    actor: User,
    link_of: LinkOf,
    languages: Sequence[str] = (),
    days: int = INVITATION_DAYS,
) -> list[Sent]:
    """One invitation for each address: the rows are stored first, then the mails go out, outside of the transaction."""
    if len(addresses) > MOST_AT_ONCE:
        raise InvalidInput.at(
            "addresses", f"At most {MOST_AT_ONCE} addresses at once; {len(addresses)} were sent."
        )
    with transaction.atomic():
        made = [
            invite(
                project=project,
                role=role,
                actor=actor,
                email=address,
                languages=languages,
                days=days,
            )
            for address in addresses
        ]
    return _deliver(made, link_of)


def resend(*, project: Project, invitation_id: int, actor: User, link_of: LinkOf) -> Sent:
    """Send an invitation again that was not accepted: with a further token, which ends the one sent before."""
    rows = Invitation.objects.filter(project=project, pk=invitation_id)
    invitation = rows.select_related("project", "created_by").first()
    if invitation is None:
        raise NotFound("There is no such invitation in this project.")
    token = secrets.token_urlsafe(24)
    until = timezone.now() + timedelta(days=INVITATION_DAYS)
    with transaction.atomic():
        waiting = rows.filter(accepted_at=None, revoked_at=None)
        if not waiting.update(token_hash=hash_key(token), expires_at=until):
            raise Conflict("This invitation was used or withdrawn; invite the person anew.")
        invitation.expires_at = until
        audit.record("invitation.resent", invitation, actor=actor, email=invitation.email)
    return _deliver([NewInvitation(invitation, token)], link_of)[0]


def _deliver(made: Sequence[NewInvitation], link_of: LinkOf) -> list[Sent]:
    """Mail each; after a mail server that does not answer, the rest are left to the hand."""
    problem = "" if has_mail() else NO_MAIL
    sent = []
    for new in made:
        link = link_of(new.token)
        to = new.invitation.email
        own_problem = problem or ("" if to else "It has no address; send this link yourself.")
        if not own_problem:
            own_problem = _mail(new.invitation, link)
            problem = own_problem if own_problem.startswith("The mail server") else ""
        sent.append(Sent(new, link, own_problem))
    mailed = [one.invitation.pk for one in sent if one.is_mailed]
    Invitation.objects.filter(pk__in=mailed).update(sent_at=timezone.now())
    return sent


def _mail(invitation: Invitation, link: str) -> str:
    """Empty once the mail is handed over, else what is wrong."""
    try:
        with get_connection() as connection:
            _message(invitation, link, connection).send()
    except SMTPException as error:
        logger.warning("invitation.refused", extra={"invitation_id": invitation.pk})
        return f"The address was refused ({error}). Send the link yourself."
    except OSError as error:
        logger.warning("mail.unreachable", extra={"reason": str(error)})
        return f"The mail server does not answer ({error}). Send the link yourself."
    return ""


def _message(invitation: Invitation, link: str, connection: BaseEmailBackend) -> EmailMessage:
    with translation.override(_language_for(invitation)):
        subject, text = _mail_text(invitation, link)
    return EmailMessage(subject, text, to=[invitation.email], connection=connection)


def _language_for(invitation: Invitation) -> str:
    """The first language of who is invited that this site speaks; else the one of who invites."""
    spoken = dict(settings.LANGUAGES)
    named = (one.lower().split("-")[0] for one in invitation.languages)
    return next((one for one in named if one in spoken), translation.get_language())


def _mail_text(invitation: Invitation, link: str) -> tuple[str, str]:
    """Subject and text."""
    project, by = invitation.project, invitation.created_by
    name = " ".join(project.name.split())  # a header has one line
    invites = _("%(who)s invites you to %(name)s as %(role)s.") % {
        "who": by.get_username() if by else _("An admin"),
        "name": name,
        "role": invitation.get_role_display(),
    }
    until = date_format(invitation.expires_at, _("d F Y"))
    how = _("Open this link to join; it works once, until %(day)s:") % {"day": until}
    subject = _("You are invited to %(name)s") % {"name": name}
    return subject, f"{invites}\n\n{project.description}\n\n{how}\n\n{link}\n"
