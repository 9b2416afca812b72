"""Secrets and signatures. A secret is derived, not stored: a copy of the database alone can sign nothing.

``Concord-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>]``, each hex the HMAC-SHA256 of ``<t>.<body>``; two for a day
after a rotation, of the new secret and of the one before.
"""

import base64
import hmac
import secrets
from datetime import datetime, timedelta

from django.conf import settings

from annotation.webhooks.models import Webhook

OVERLAP = timedelta(days=1)  # how long the secret before a rotation goes on signing
HEADER = "Concord-Signature"


def new_salt() -> str:
    return secrets.token_urlsafe(32)


def secret_of(salt: str) -> str:
    """What the receiver keeps."""
    derived = hmac.digest(settings.SECRET_KEY.encode(), f"webhook {salt}".encode(), "sha256")
    return "whsec_" + base64.urlsafe_b64encode(derived).decode().rstrip("=")


def signature_of(webhook: Webhook, body: bytes, moment: datetime) -> str:
    """The value of the signature header."""
    salts = [webhook.salt]
    if webhook.previous_salt and webhook.rotated_at and moment < webhook.rotated_at + OVERLAP:
        salts.append(webhook.previous_salt)
    told = str(int(moment.timestamp()))
    marks = (_mark(secret_of(salt), told, body) for salt in salts)
    return ",".join([f"t={told}", *(f"v1={mark}" for mark in marks)])


def _mark(secret: str, told: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), told.encode() + b"." + body, "sha256").hex()
