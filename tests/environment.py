"""Loaded by pytest before Django's settings: a throw-away CONCORD_VAR, and the embedded PostgreSQL by default."""

import os
import tempfile

from deploy.embedded import ROOT, database_url

os.environ["CONCORD_VAR"] = tempfile.mkdtemp(prefix="concord-test-")  # of each worker its own
if not os.environ.get("DATABASE_URL"):  # workers inherit what the first process chose
    os.environ["DATABASE_URL"] = database_url(ROOT / "var" / "test-postgres")
