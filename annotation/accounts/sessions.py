"""Sessions in the database, as Django's own, but read with whom each is of by one prepared statement: both are asked
for with every request.
"""

import json
import threading
from functools import lru_cache
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.utils import timezone

from annotation.accounts.models import User
from annotation.core import statements
from annotation.core.statements import columns, row_of

_READ = f"""
SELECT s.session_data, {columns(User, "u")} FROM django_session s
LEFT JOIN accounts_user u ON u.id = %(owner)s AND u.is_active
WHERE s.session_key = %(key)s AND s.expire_date > %(now)s
"""  # noqa: S608 - names of columns
MOST_KNOWN = 10_000
_owner_of: dict[str, int] = {}  # as last seen: a guess, for the data of a session say whose it is


class _LastRead(threading.local):
    user: User | None = None


_last_read = _LastRead()


class SessionStore(db.SessionStore):
    """The session of one key."""

    def load(self) -> dict[str, Any]:  # Any: what was put in
        key = str(self.session_key)
        values = {"key": key, "owner": _owner_of.get(key), "now": timezone.now()}
        rows = statements.run(_READ, values)
        if not rows:
            self._session_key = None
            return {}
        stored, *owner = rows[0]
        _last_read.user = row_of(User, owner) if owner[0] else None
        held = dict(json.loads(_decoded(stored)))
        _know(key, held.get(SESSION_KEY))
        return held

    def save(self, must_create: bool = False) -> None:
        super().save(must_create)
        _know(str(self.session_key), self.get(SESSION_KEY))


def read_with_session(user_id: int) -> User | None:
    """The active user of this key, if the session that this thread read last came with them; given once."""
    user, _last_read.user = _last_read.user, None
    return user if user and user.pk == user_id else None


def _know(key: str, owner: str | None) -> None:
    if owner is None:
        return
    if len(_owner_of) >= MOST_KNOWN:
        _owner_of.clear()
    _owner_of[key] = int(owner)


@lru_cache(maxsize=1000)
def _decoded(stored: str) -> str:
    """What is stored, its signature checked, as JSON: most requests come with what their last one came with."""
    return json.dumps(db.SessionStore().decode(stored))
