"""Sessions in the database, as Django's own, but read by a prepared statement: they are read with every request."""

import json
from functools import lru_cache
from typing import Any

from django.contrib.sessions.backends import db
from django.utils import timezone

from annotation.core import statements

_READ = """
SELECT session_data FROM django_session WHERE session_key = %(key)s AND expire_date > %(now)s
"""


class SessionStore(db.SessionStore):
    """The session of one key."""

    def load(self) -> dict[str, Any]:  # Any: what was put in
        rows = statements.run(_READ, {"key": self.session_key, "now": timezone.now()})
        if rows:
            return dict(json.loads(_decoded(rows[0][0])))
        self._session_key = None
        return {}


@lru_cache(maxsize=1000)
def _decoded(stored: str) -> str:
    """What is stored, its signature checked, as JSON: most requests come with what their last one came with."""
    return json.dumps(db.SessionStore().decode(stored))
