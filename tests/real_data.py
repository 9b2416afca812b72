"""Where the real data lies that tests and benches read: beside the repository, or in CONCORD_DATA."""

import os
from pathlib import Path

REAL_DATA = Path(os.environ.get("CONCORD_DATA", Path(__file__).parents[2] / "shared" / "data"))
