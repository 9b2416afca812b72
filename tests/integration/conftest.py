"""What tests share: a project and its people, a trainer that only pretends, a run for it, an S3 server and Redis."""

import os
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from annotation.projects.models import Role
from tests import factories
from tests.bucket.swift import S3Server, swift

TRAINER = Path(__file__).with_name("fake_trainer.py")
REDIS_SERVER = os.environ.get("CONCORD_TEST_REDIS_SERVER", "redis://127.0.0.1:6379")
FIRST_DATABASE = 6  # of its sixteen; each process of the tests has its own


@pytest.fixture
def project():
    return factories.project()


@pytest.fixture
def engineer(project):
    return factories.member(project, Role.ENGINEER)


@pytest.fixture
def labeler(project):
    return factories.member(project)


@pytest.fixture
def admin(project, client, api):
    """Signed in to the pages and the API."""
    admin = factories.member(project, Role.ADMIN)
    client.force_login(admin)
    api.force_authenticate(admin)
    return admin


@pytest.fixture
def trainer(settings):
    """`trainer("--fault", "crash")`: the trainer that runs next, with the given flags."""
    settings.CONCORD_LEASE_SECONDS = 3600  # the heartbeat's connection cannot see this transaction

    def choose(*flags):
        settings.CONCORD_TRAINING_COMMAND = shlex.join([sys.executable, str(TRAINER), *flags])

    choose()
    return choose


@pytest.fixture
def run(tmp_path):
    (tmp_path / "groups.jsonl").write_text("")
    project = factories.project()
    snapshot = factories.snapshot(project, folder=str(tmp_path))
    return factories.training_run(project, snapshot=snapshot)


@pytest.fixture
def broker(worker_id):
    """An empty database of a real Redis, by its address."""
    number = FIRST_DATABASE + int(worker_id.removeprefix("gw") if worker_id != "master" else 0)
    address = f"{REDIS_SERVER}/{number}"
    with redis.Redis.from_url(address) as client:
        try:
            client.flushdb()
        except redis.ConnectionError:
            pytest.fail(
                f"No Redis answers at {REDIS_SERVER}. Start one (Debian: apt install redis-server), "
                "or name another by CONCORD_TEST_REDIS_SERVER."
            )
        yield address
        client.flushdb()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """moto, which lets everybody in; Swift, which checks signatures, where its programs are named."""
    programs = os.environ.get("CONCORD_TEST_SWIFT")
    folder = tmp_path_factory.mktemp("swift")
    with swift(Path(programs).resolve(), folder) if programs else moto() as server:
        yield server


@contextmanager
def moto():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}", "key", "secret")
    server.stop()


@pytest.fixture
def s3(s3_server, settings, tmp_path):
    """An empty bucket that this installation uses; its own machine is ``tmp_path / "one"``."""
    import boto3

    url, access_key, secret_key = s3_server
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
    name = tmp_path.name.replace("_", "-").strip("-").lower()[:60]
    client.create_bucket(Bucket=name)
    settings.CONCORD_BUCKET_URL = f"{url}/{name}/team"
    settings.CONCORD_BUCKET_ACCESS_KEY = access_key
    settings.CONCORD_BUCKET_SECRET_KEY = secret_key
    settings.CONCORD_VAR = tmp_path / "one"
    yield Objects(client, name)
    client.close()


class Objects:
    """The bucket as another S3 tool sees it."""

    def __init__(self, client, name: str) -> None:
        self.client, self.name = client, name

    def names(self) -> list[str]:
        rows = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(one["Key"] for one in rows)

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)
