"""A real S3 server for the tests that store artifacts in a bucket."""

import pytest


@pytest.fixture(scope="session")
def s3_server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server, settings, tmp_path):
    """An empty bucket that this installation uses; its own machine is ``tmp_path / "one"``."""
    import boto3

    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1", **keys)
    name = tmp_path.name.replace("_", "-")[:60]
    client.create_bucket(Bucket=name)
    settings.CONCORD_BUCKET_URL = f"{s3_server}/{name}/team"
    settings.CONCORD_BUCKET_ACCESS_KEY, settings.CONCORD_BUCKET_SECRET_KEY = "key", "secret"
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
