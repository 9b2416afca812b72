"""Artifacts: immutable files by sha256 under `CONCORD_VAR/artifacts`, written atomically."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from annotation.core.errors import shortage_behind


def folder(*names: str) -> Path:
    """A folder below CONCORD_VAR, created if it is not there."""
    path = Path(settings.CONCORD_VAR, *names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def artifact_path(sha256: str) -> Path:
    """Where the artifact with this digest lies."""
    return folder("artifacts", sha256[:2]) / sha256


def write_artifact(chunks: Iterable[bytes]) -> tuple[str, int]:
    """Store a stream; its sha256 and size in bytes. A half-written file never gets a final name."""
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=folder("artifacts"), prefix=".incoming-")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        target = artifact_path(digest.hexdigest())
        Path(name).replace(target)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and (shortage := shortage_behind(error)):
            raise shortage from error
        raise
    return digest.hexdigest(), size
