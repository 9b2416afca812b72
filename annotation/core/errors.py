"""Expected failures. The message is a full sentence for the person who will read it, and says what to do."""

from typing import Self


class DomainError(Exception):
    """Base of all expected failures; ``status`` is the HTTP answer, ``code`` the machine's word for it."""

    status = 400
    code = "invalid"


class InvalidInput(DomainError):  # noqa: N818 - reads as a sentence where it is raised
    """A value that was sent is wrong; name the field and the value seen."""

    field = ""

    @classmethod
    def at(cls, field: str, message: str) -> Self:
        """The error of one field, so that a form or the API can show it there."""
        error = cls(message)
        error.field = field
        return error


class NotFound(DomainError):  # noqa: N818
    """The row does not exist, or the person has no part in its project."""

    status = 404
    code = "not_found"


class Forbidden(DomainError):  # noqa: N818
    """A member of the project without the role that this act needs."""

    status = 403
    code = "forbidden"


class Conflict(DomainError):  # noqa: N818
    """The row is in a state that does not allow this act (any more)."""

    status = 409
    code = "conflict"


class LeaseLost(Conflict):
    """The lease on an assignment ended before the answer came."""

    code = "lease_lost"


class StorageFull(DomainError):  # noqa: N818
    """There is no room left on the disk for what was sent."""

    status = 507
    code = "storage_full"
