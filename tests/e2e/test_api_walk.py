"""The documented walk over the API, run as it is written, block after block, against a live site."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import ROOT

GUIDE = ROOT / "docs" / "guide" / "api-walk.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 600
BASH = shutil.which("bash") or "/bin/bash"


def test_the_documented_walk_leads_from_an_empty_project_to_candidates_of_a_new_policy(
    site, tiny_model, tmp_path
):
    script = "set -euo pipefail\n" + "\n".join(BLOCK.findall(GUIDE.read_text()))
    hidden = {"DATABASE_URL", "REDIS_URL"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"CONCORD": site.url, "MODEL": str(tiny_model), "CONCORD_VAR": str(site.var)}
    for name in ("manage.py", ".venv"):  # the walk writes its files where it is run
        (tmp_path / name).symlink_to(ROOT / name)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    walked = subprocess.run(
        [BASH, "-x", "-c", script],
        check=False,
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert walked.returncode == 0, f"{walked.stdout[-1000:]}\n{walked.stderr[-3000:]}"
