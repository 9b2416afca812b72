"""One act in a process of its own, so that its peak of memory is its own: what it took, as JSON on standard output.

`python -m tests.bench.inout.child import CONTENTS FILE`, `... export PROJECT FORM FORMAT`.
"""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import django

from tests.bench.inout import files

TICKS = os.sysconf("SC_CLK_TCK")


def database_cpu() -> float:
    """CPU seconds of the database's process of this connection; 0 where it runs on another machine."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb() -> float:
    """The most that this process held at once; `resource` would begin with the most that its parent held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def take(contents: str, path: Path) -> dict[str, int]:
    from annotation.comparisons.services.importing import import_here
    from annotation.projects.models import Project
    from annotation.prompts.models import PromptImport
    from annotation.prompts.services.requesting import request_import

    project = Project.objects.create(name=path.stem, overlap=2)
    with path.open("rb") as file:
        row = request_import(
            project=project,
            chunks=iter(lambda: file.read(1024 * 1024), b""),
            filename=path.name,
            actor=None,
            contents=PromptImport.Contents(contents),
            by_worker=False,
        )
    row = import_here(prompt_import=row, owner="bench", progress=lambda *_told: None)
    if row.rows_rejected or row.rows_duplicate:
        raise ValueError(f"{row.rows_rejected} rejected, {row.rows_duplicate} duplicates.")
    return {"project": project.pk, "rows": row.rows_created}


def give(project_id: int, form: str, file_format: str) -> dict[str, int]:
    from annotation.datasets.services.exporting import FileFormat, Form, judgments_export
    from annotation.projects.models import Project

    project = Project.objects.get(pk=project_id)
    export = judgments_export(project, form=Form(form))
    size = sum(len(piece) for piece in export.pieces(FileFormat(file_format)))
    return {"project": project_id, "bytes": size}


def measured(act: Callable[[], dict[str, int]]) -> dict[str, float]:
    """What the act gives, with seconds, CPU seconds of both sides, and the growth of memory in MB."""
    before, database, memory = time.process_time(), database_cpu(), memory_mb()
    began = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - began
    return {
        **result,
        "seconds": seconds,
        "cpu": time.process_time() - before,
        "database": database_cpu() - database,
        "memory": memory_mb() - memory,
        "peak": memory_mb(),
    }


def warm_up() -> None:
    """A few rows in and out, so that what a worker has imported and prepared long ago is not measured; it is kept out
    of the garbage collector as workers keep it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = files.write(Path(folder) / "warm.jsonl", files.labels(4))
        project = take("judgments", path)["project"]
    for form in ("votes", "label_studio"):
        give(project, form, "json")
    gc.collect()
    gc.freeze()


def main(what: str, *rest: str) -> None:
    django.setup()
    warm_up()
    act = (
        (lambda: take(rest[0], Path(rest[1])))
        if what == "import"
        else (lambda: give(int(rest[0]), rest[1], rest[2]))
    )
    sys.stdout.write(json.dumps(measured(act)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
