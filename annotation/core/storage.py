"""Artifacts: immutable files by sha256 under `CONCORD_VAR/artifacts`, written atomically.

Where a bucket is set (`core.bucket`), what one machine makes is stored there too, and others bring it into a cache of
their own: files by their sha256, folders by the sha256 of the list of theirs.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from django.conf import settings

from annotation.core import bucket
from annotation.core.errors import shortage_behind

CACHE, INCOMING = "cache", ".incoming-"
Files = Mapping[str, str]  # name below the folder -> sha256


class Damaged(bucket.BucketFailed):
    """The content of something in the bucket is not what its name says."""


def folder(*names: str) -> Path:
    """A folder below CONCORD_VAR, created if it is not there."""
    path = Path(settings.CONCORD_VAR, *names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def artifact_path(sha256: str) -> Path:
    """Where the artifact with this digest lies; brought from the bucket where another machine wrote it."""
    path = folder("artifacts", sha256[:2]) / sha256
    if bucket.address() is not None and not path.exists():
        _bring_file(f"artifacts/{sha256}", sha256, path)
    return path


def write_artifact(chunks: Iterable[bytes]) -> tuple[str, int]:
    """Store a stream; its sha256 and size in bytes. A half-written file never gets a final name."""
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=folder("artifacts"), prefix=INCOMING)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        sha256 = digest.hexdigest()
        if bucket.address() is not None:
            bucket.upload(Path(name), f"artifacts/{sha256}")
        Path(name).replace(folder("artifacts", sha256[:2]) / sha256)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and (shortage := shortage_behind(error)):
            raise shortage from error
        raise
    return sha256, size


def share(path: Path) -> str:
    """Where every machine finds this folder: its own path, or its address in the bucket once all of it is there."""
    place = bucket.address()
    if place is None:
        return str(path)
    sha256 = store_folder(path, "folders")
    _remember(sha256, path)
    return f"{place.root}folders/{sha256}"


def store_folder(path: Path, under: str) -> str:
    """Store a folder in the bucket as ``under/<sha256>``; its sha256. A folder with a list is whole."""
    files = _files_of(path)
    sha256 = _digest_of_list(files)
    for name in sorted(files):
        bucket.upload(path / name, f"{under}/{sha256}/{name}")
    bucket.upload_json(files, f"{under}/{sha256}.json")  # last
    return sha256


def bring_folder(under: str, sha256: str, target: Path) -> Path:
    """Bring ``under/<sha256>`` of the bucket as ``target``, whole or not at all.

    Raises Damaged where its content is not what its name says.
    """
    files: dict[str, str] = bucket.read_json(f"{under}/{sha256}.json")
    if _digest_of_list(files) != sha256 or any(map(_leads_elsewhere, files)):
        raise Damaged(f"The list of {under}/{sha256} was changed; make that folder again.")
    incoming = Path(tempfile.mkdtemp(dir=target.parent, prefix=INCOMING))
    try:
        for name, digest in files.items():
            _bring_file(f"{under}/{sha256}/{name}", digest, incoming / name)
        return _settled(incoming, target)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def local(location: str) -> str:
    """The same place as a path of this machine; a folder of the bucket is brought here once."""
    return str(_bring_folder(location)) if location.startswith("s3://") else location


def local_if_here(location: str) -> str:
    """The same, asking no server: an address that was not brought here stays as it is."""
    cached = folder(CACHE) / location.rpartition("/")[2]
    return str(cached) if location.startswith("s3://") and cached.is_dir() else location


def sha256_of(location: str) -> str:
    """The sha256 of the list of a folder's files: of one in the bucket its name, of one here all of it is read."""
    if location.startswith("s3://"):
        return location.rpartition("/")[2]
    return _digest_of_list(_files_of(Path(location)))


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files_of(path: Path) -> Files:
    return {str(one.relative_to(path)): digest_of(one) for one in path.rglob("*") if one.is_file()}


def _digest_of_list(files: Files) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _remember(sha256: str, path: Path) -> None:
    """The machine that made a folder need not bring it."""
    link = folder(CACHE) / sha256
    if not link.is_dir():
        link.unlink(missing_ok=True)  # of a folder that is gone
        link.symlink_to(path.resolve(), target_is_directory=True)


def _bring_folder(location: str) -> Path:
    """The cached copy, whole or not there."""
    sha256 = location.rpartition("/")[2]
    target = folder(CACHE) / sha256
    if target.is_dir():
        return target
    place = bucket.address()
    if place is not None and location != f"{place.root}folders/{sha256}":
        raise bucket.BucketFailed(
            f"{location} is not in the bucket of this installation, {place.root}. Set CONCORD_BUCKET_URL "
            "to the one it was stored in, or copy it over."
        )
    return bring_folder("folders", sha256, target)


def _leads_elsewhere(name: str) -> bool:
    """Whether a file of this name would lie outside its folder: whoever writes to the bucket wrote the list."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\0" in name


def _settled(incoming: Path, target: Path) -> Path:
    if target.is_symlink():
        target.unlink()  # of a folder that is gone
    incoming.chmod(0o755)
    try:
        incoming.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster
            raise
    return target


def _bring_file(name: str, sha256: str, path: Path) -> None:
    """Bring an object; it gets its name once its content is what its digest says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=INCOMING) as incoming:
        draft = Path(incoming, path.name)  # of this thread alone
        bucket.download(name, draft)
        if digest_of(draft) != sha256:
            raise Damaged(
                f"{name} in the bucket is damaged: its content is not what its name says. Bring it back "
                "from a copy, or make it again."
            )
        draft.replace(path)
