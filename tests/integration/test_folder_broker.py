"""The embedded broker: a message is whole or not there, and a torn one stops nobody."""

from queue import Empty

import pytest
from kombu import Connection

import deploy.celery  # noqa: F401 - names the transport
from deploy.folder_broker import Channel


@pytest.fixture
def channel(tmp_path):
    folder = str(tmp_path)
    options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
    with Connection("filesystem://localhost", transport_options=options) as connection:
        yield connection.default_channel


def test_the_transport_of_the_embedded_broker_is_ours(channel):
    assert isinstance(channel, Channel)


def test_a_message_comes_back_as_it_was_put(channel, tmp_path):
    channel._put("cpu", {"body": "1"})
    assert [path.name.partition(".")[2] for path in tmp_path.iterdir()] == ["cpu.msg"]
    assert channel._get("cpu") == {"body": "1"}


def test_a_message_that_is_still_being_written_is_not_seen(channel, tmp_path):
    (tmp_path / ".1_a.cpu.msg.part").write_text("")
    with pytest.raises(Empty):
        channel._get("cpu")


def test_a_torn_message_is_left_out(channel, tmp_path):
    (tmp_path / "1_a.cpu.msg").write_text("")
    with pytest.raises(Empty):
        channel._get("cpu")
