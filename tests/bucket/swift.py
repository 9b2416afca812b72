"""OpenStack Swift on this machine as a server of the S3 protocol: one of each of its servers, and one disk.

It refuses what is not signed with the user's secret key (AWS Signature Version 4). Of its two users one may do
everything, the guest nothing.
"""

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.queue.server import free_port, wait_for

STORES = ("account", "container", "object")
PAGE = 5  # the most names that one answer lists, so that a list of a few more takes a second
PARTITIONS, REPLICAS, HOURS = "3", "1", "1"  # 2 ** 3; the hours that a partition may not move for

SWIFT = "[swift-hash]\nswift_hash_path_suffix = concord\n"
SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
log_address = {folder}/no-syslog
"""
STORE = """
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper s3api tempauth slo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
max_bucket_listing = {page}
[filter:tempauth]
use = egg:swift#tempauth
user_concord_key = secret .admin
user_concord_guest = secret
[filter:slo]
use = egg:swift#slo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


class S3Server(NamedTuple):
    """Where a server answers, and whom it lets make buckets."""

    url: str
    access_key: str
    secret_key: str


@contextmanager
def swift(programs: Path, folder: Path) -> Iterator[S3Server]:
    """A Swift whose programs lie in ``programs`` and that keeps everything in ``folder``."""
    ports = {name: free_port() for name in (*STORES, "proxy")}
    _lay_out(programs, folder, ports)
    with ExitStack() as stack:
        servers = [stack.enter_context(_serving(programs, folder, name)) for name in ports]
        for server, port in zip(servers, ports.values(), strict=True):
            wait_for(port, server)
        yield S3Server(f"http://127.0.0.1:{ports['proxy']}", "concord:key", "secret")


def _lay_out(programs: Path, folder: Path, ports: dict[str, int]) -> None:
    (folder / "disks" / "one").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT)
    for name, port in ports.items():
        own = PROXY if name == "proxy" else STORE
        facts = {"name": name, "port": port, "user": getpass.getuser(), "page": PAGE}
        (folder / f"{name}.conf").write_text((SERVER + own).format(folder=folder, **facts))
    for name in STORES:
        disk = f"r1z1-127.0.0.1:{ports[name]}/one"
        for act in (["create", PARTITIONS, REPLICAS, HOURS], ["add", disk, "1"], ["rebalance"]):
            command = [programs / "swift-ring-builder", f"{name}.builder", *act]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _serving(programs: Path, folder: Path, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([programs / f"swift-{name}-server", folder / f"{name}.conf"])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)
