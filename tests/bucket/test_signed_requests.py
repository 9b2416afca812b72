"""What a server of the S3 protocol asks that checks signatures: the right key, region and clock, parts, and pages."""

from datetime import timedelta
from pathlib import Path

import minio.time
import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from annotation.core import bucket, storage
from annotation.core.bucket import BucketFailed
from tests.bucket.swift import PAGE

ACTS = {
    "store": lambda: bucket.upload_json({}, "name"),
    "upload": lambda: bucket.upload(Path("file"), "name"),
    "bring": lambda: bucket.download("kept", Path("brought")),
    "read": lambda: bucket.read_json("kept"),
    "list": lambda: bucket.names("kept"),
    "remove": lambda: bucket.remove("kept"),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_wrong_secret_key_may_do_nothing(act, s3, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("content")
    bucket.upload_json({}, "kept")
    settings.CONCORD_BUCKET_SECRET_KEY += "?"
    with pytest.raises(BucketFailed, match=r"AccessDenied|SignatureDoesNotMatch"):
        act()
    assert s3.names() == ["team/kept"]
    assert not Path("brought").exists()


@pytest.mark.parametrize(
    ("setting", "value", "reason", "remedy"),
    [
        ("SECRET_KEY", "wrong", "SignatureDoesNotMatch", "Check .* CONCORD_BUCKET_SECRET_KEY"),
        ("ACCESS_KEY", "concord:stranger", "SignatureDoesNotMatch", "CONCORD_BUCKET_ACCESS_KEY"),
        ("ACCESS_KEY", "concord:guest", "AccessDenied", "what the keys may do"),
        ("REGION", "eu-west-1", "'eu-west-1' is wrong", "Set CONCORD_BUCKET_REGION"),
    ],
)
def test_the_check_says_why_the_bucket_refuses_and_what_to_mend(
    s3, settings, setting, value, reason, remedy
):
    setattr(settings, f"CONCORD_BUCKET_{setting}", value)
    with pytest.raises(SystemCheckError, match=f"{reason}.*{remedy}"):
        call_command("check", "--deploy", "--tag", "storage")
    assert s3.names() == []


def test_a_clock_that_is_an_hour_off_is_named(s3, monkeypatch):
    now = minio.time.utcnow
    monkeypatch.setattr(minio.time, "utcnow", lambda: now() + timedelta(hours=1))
    with pytest.raises(BucketFailed, match=r"RequestTimeTooSkewed.*Set the clock"):
        bucket.names("folders/")


def test_a_large_file_goes_in_parts_and_is_brought_whole_on_another_machine(
    s3, settings, tmp_path, caplog
):
    """5 MiB is the protocol's smallest part; all three go at once, over connections that are kept."""
    content = bytes(range(256)) * 2**12 * 12
    sha256, size = storage.write_artifact([content])
    assert size == 12 * 2**20
    stored = s3.client.head_object(Bucket=s3.name, Key=f"team/artifacts/{sha256}")
    assert stored["ETag"].endswith('-3"')
    settings.CONCORD_VAR = tmp_path / "two"
    assert storage.artifact_path(sha256).read_bytes() == content
    assert caplog.messages == []


def test_all_names_are_listed_over_several_answers(s3):
    expected = [f"runs/7/{number:02}" for number in range(2 * PAGE + 1)]
    for name in expected:
        bucket.upload_json({}, name)
    assert sorted(bucket.names("runs/7/")) == expected
