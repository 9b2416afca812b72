"""Expected failures. The message is a full sentence for the person who will read it, and says what to do."""

import errno
import logging
from typing import Self

from django.utils.translation import gettext as _

logger = logging.getLogger(__name__)
DISK_FULL, MEMORY_FULL = "53100", "53200"  # SQLSTATE of PostgreSQL


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


class OutOfMemory(DomainError):  # noqa: N818
    """The server has no memory for what was asked."""

    status = 503
    code = "out_of_memory"


def shortage_behind(error: BaseException | None) -> DomainError | None:
    """What to tell a person where the disk or the memory ended; None for any other failure."""
    number, state = getattr(error, "errno", None), _sqlstate(error)
    if number in {errno.ENOSPC, errno.EDQUOT} or state == DISK_FULL:
        return StorageFull(
            _("The server's disk is full; nothing was stored. Ask whoever runs it to make room.")
        )
    if isinstance(error, MemoryError) or state == MEMORY_FULL:
        return OutOfMemory(
            _("The server ran out of memory; nothing was stored. Send less at once, or try later.")
        )
    return None


def _sqlstate(error: BaseException | None) -> str | None:
    """What PostgreSQL calls the failure behind Django's."""
    return getattr(getattr(error, "__cause__", None), "sqlstate", None)


def log_refusal(error: DomainError, path: str) -> None:
    """One line for whoever reads the log: what was refused, where and why."""
    facts = {"path": path, "status": error.status, "code": error.code, "sentence": str(error)}
    logger.info("request.refused", extra=facts)
