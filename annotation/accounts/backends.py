"""Who is signed in: as allauth has it, but read with the session, or by a prepared statement, with every request."""

from allauth.account.auth_backends import AuthenticationBackend

from annotation.accounts.models import User
from annotation.accounts.sessions import read_with_session
from annotation.core import statements
from annotation.core.statements import columns, row_of


class PreparedBackend(AuthenticationBackend):  # type: ignore[misc] # allauth has no types
    """Finds the user of a session."""

    def get_user(self, user_id: int) -> User | None:
        return read_with_session(int(user_id)) or _active(int(user_id))


def _active(key: int) -> User | None:
    names = columns(User, "u")
    read = f"SELECT {names} FROM accounts_user u WHERE u.id = %(key)s AND u.is_active"  # noqa: S608 - names
    rows = statements.run(read, {"key": key})
    return row_of(User, rows[0]) if rows else None
