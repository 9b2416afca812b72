"""People and machines that act, and the tokens they act with."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person, or a machine judge (RLAIF), or a simulated labeler of the demo."""

    class Kind(models.TextChoices):
        PERSON = "person"
        MACHINE = "machine"
        SIMULATED = "simulated"

    kind = models.CharField(max_length=10, choices=Kind, default=Kind.PERSON)
    rule = models.TextField(
        blank=True, default=""
    )  # what a simulated labeler or machine judge follows
    languages = models.JSONField(default=list, blank=True)
    time_zone = models.CharField(max_length=64, blank=True, default="")  # "": not known yet


class ApiToken(models.Model):
    """A key for the API; only its hash is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
