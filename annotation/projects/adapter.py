"""Sign-up is by invitation only: allauth asks here whether the door is open."""

from allauth.account.adapter import DefaultAccountAdapter
from django.forms import Form
from django.http import HttpRequest

from annotation.accounts.models import User
from annotation.audit import services as audit
from annotation.core.errors import NotFound
from annotation.projects.selectors import invitation_for

SESSION_KEY = "invitation"


class InvitedAccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth has no types
    """Open the sign-up to a browser that has opened a working invitation link."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        token = request.session.get(SESSION_KEY, "")
        try:
            invitation_for(token)
        except NotFound:
            return False
        return True

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """Store the new person, and that the person came."""
        saved: User = super().save_user(request, user, form, commit)
        if commit:
            audit.record("user.created", saved, actor=saved, username=saved.username)
        return saved
