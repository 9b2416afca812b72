"""Which code is running: what a manifest and a model's lineage name."""

import shutil
import subprocess
from functools import cache

from django.conf import settings


@cache
def code_revision() -> str:
    """The commit of the checkout (with -dirty where files were changed), or the version of the package."""
    git = shutil.which("git")
    if git and (settings.BASE_DIR / ".git").exists():
        command = [git, "-C", str(settings.BASE_DIR), "describe", "--always", "--dirty"]
        command += ["--abbrev=40", "--exclude=*"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if told.returncode == 0:
            return told.stdout.strip()[:64]
    return str(settings.SPECTACULAR_SETTINGS["VERSION"])
