"""The bucket (S3 protocol) that holds artifacts for several machines: objects by name, errors as sentences.

`core.storage` decides what goes there. Nothing here is used where CONCORD_BUCKET_URL is not set.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from annotation.core.errors import DomainError

if TYPE_CHECKING:
    from minio import Minio

LARGEST_TEXT = 64 * 1024**2  # bytes of an object that is read whole
PROBE = "concord-probe"
NOT_THERE = frozenset({"NoSuchKey", "NoSuchObject"})
CONNECTIONS = 10  # kept open, of all threads; a large file goes in three parts at once
REMEDIES = {
    "SignatureDoesNotMatch": "Check CONCORD_BUCKET_ACCESS_KEY and CONCORD_BUCKET_SECRET_KEY.",
    "InvalidAccessKeyId": "Check CONCORD_BUCKET_ACCESS_KEY.",
    "AuthorizationHeaderMalformed": "Set CONCORD_BUCKET_REGION to the bucket's region.",
    "RequestTimeTooSkewed": "Set the clock of this machine.",
    "NoSuchBucket": "Make that bucket, or check CONCORD_BUCKET_URL.",
}
LOOK = "Check that it exists and what the keys may do: manage.py check --deploy --tag storage."


class BucketFailed(DomainError):  # noqa: N818 - reads as a sentence where it is raised
    """The bucket did not do what was asked; the message says what, and where to look."""

    status = 503
    code = "bucket_failed"


class Missing(BucketFailed):
    """The bucket answers, and has no object of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the bucket is: its server, its name, and what all our objects' names begin with."""

    server: str  # host or host:port
    is_https: bool
    bucket: str
    prefix: str  # "" or "some/folder/"

    @classmethod
    def of(cls, url: str) -> "Address":
        """From ``https://server/bucket`` or ``https://server/bucket/prefix``. Raises ValueError."""
        parts = urlsplit(url)
        bucket, _, prefix = parts.path.strip("/").partition("/")
        if "@" in parts.netloc or parts.query:  # first: the other sentence tells the address
            raise ValueError(
                "CONCORD_BUCKET_URL holds a password or a query; put the keys into "
                "CONCORD_BUCKET_ACCESS_KEY and CONCORD_BUCKET_SECRET_KEY."
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname or not bucket:
            raise ValueError(
                f"CONCORD_BUCKET_URL={url!r} names no bucket; write https://server:port/bucket."
            )
        return cls(
            server=parts.netloc,
            is_https=parts.scheme == "https",
            bucket=bucket,
            prefix=f"{prefix}/" if prefix else "",
        )

    @property
    def root(self) -> str:
        """What the addresses of our objects begin with, as other S3 tools write them."""
        return f"s3://{self.bucket}/{self.prefix}"


def address() -> Address | None:
    """The bucket of this installation; None where artifacts lie in a folder alone."""
    return Address.of(settings.CONCORD_BUCKET_URL) if settings.CONCORD_BUCKET_URL else None


def upload(path: Path, name: str) -> None:
    """Store a file under ``name``; one of the same name and size is there already."""
    place = _place()
    with _sentences(f"store {name}"):
        if _size_of(place, name) != path.stat().st_size:
            _client(place).fput_object(place.bucket, place.prefix + name, str(path))


def upload_json(value: object, name: str) -> None:
    """Store a small JSON object."""
    place, body = _place(), json.dumps(value, sort_keys=True).encode()
    with _sentences(f"store {name}"):
        _client(place).put_object(place.bucket, place.prefix + name, BytesIO(body), len(body))


def download(name: str, path: Path) -> None:
    """Bring an object into a file, which appears when it is whole."""
    place = _place()
    with _sentences(f"bring {name}"):
        _client(place).fget_object(place.bucket, place.prefix + name, str(path))


def read_json(name: str) -> Any:  # Any: JSON
    """The value of a small JSON object."""
    place = _place()
    with _sentences(f"bring {name}"):
        answer = _client(place).get_object(place.bucket, place.prefix + name)
        try:
            return json.loads(answer.read(LARGEST_TEXT))
        finally:
            answer.close()
            answer.release_conn()


def names(prefix: str) -> list[str]:
    """The names of all objects that begin with ``prefix``."""
    return list(written_at(prefix))


def written_at(prefix: str) -> dict[str, datetime]:
    """The same, each with when it was written."""
    place = _place()
    with _sentences(f"list {prefix}"):
        found = _client(place).list_objects(place.bucket, place.prefix + prefix, recursive=True)
        return {
            str(one.object_name).removeprefix(place.prefix): one.last_modified
            for one in found
            if one.last_modified is not None
        }


def remove(name: str) -> None:
    """Remove an object; one that is not there is no failure."""
    place = _place()
    with _sentences(f"remove {name}"):
        _client(place).remove_object(place.bucket, place.prefix + name)


def probe() -> None:
    """Store, read and remove a small object. Raises BucketFailed with what cannot be done."""
    upload_json({"is": "a probe"}, PROBE)
    read_json(PROBE)
    remove(PROBE)


def _place() -> Address:
    place = address()
    if place is None:
        raise BucketFailed(
            "This artifact lies in a bucket, and CONCORD_BUCKET_URL is not set on this machine; set it "
            "as on the others."
        )
    return place


def _size_of(place: Address, name: str) -> int | None:
    """The size of an object; None where there is none."""
    from minio.error import S3Error

    try:
        return _client(place).stat_object(place.bucket, place.prefix + name).size
    except S3Error as error:
        if error.code in NOT_THERE:
            return None
        raise


def _client(place: Address) -> "Minio":
    keys = (settings.CONCORD_BUCKET_ACCESS_KEY, settings.CONCORD_BUCKET_SECRET_KEY)
    return _connected(place, keys, settings.CONCORD_BUCKET_REGION)


@lru_cache(maxsize=4)
def _connected(place: Address, keys: tuple[str, str], region: str) -> "Minio":
    """One client a process and address: it keeps its connections."""
    import urllib3
    from minio import Minio

    return Minio(
        place.server,
        access_key=keys[0],
        secret_key=keys[1],
        region=region,
        secure=place.is_https,
        http_client=urllib3.PoolManager(
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(connect=10, read=300),
            retries=urllib3.Retry(
                total=3, backoff_factor=0.5, status_forcelist=[500, 502, 503, 504]
            ),
        ),
    )


@contextmanager
def _sentences(act: str) -> Iterator[None]:
    """What the client or the network raises, as a sentence for the person."""
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except MinioException as error:
        reason = getattr(error, "message", None) or str(error) or type(error).__name__
        code = getattr(error, "code", "")
        kind = Missing if code in NOT_THERE else BucketFailed
        named = f" ({code})" if code else ""
        raise kind(
            f"The bucket could not {act}: {reason.rstrip('.')}{named}. {REMEDIES.get(code, LOOK)}"
        ) from error
    except HTTPError as error:
        raise BucketFailed(
            f"The bucket could not {act}: its server did not answer ({type(error).__name__}). "
            "Check CONCORD_BUCKET_URL and the network, then try again."
        ) from error
    except ValueError as error:  # a name that the protocol forbids, an answer that is not JSON
        raise BucketFailed(
            f"The bucket could not {act}: {error}. Check CONCORD_BUCKET_URL and what lies there."
        ) from error
