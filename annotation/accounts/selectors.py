"""Reading accounts."""

from django.db.models import QuerySet

from annotation.accounts.models import ApiToken, User


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """This person's tokens that still work or have only expired, newest first."""
    return ApiToken.objects.filter(user=user, revoked_at=None).order_by("-pk")
