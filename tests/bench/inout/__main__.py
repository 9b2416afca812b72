"""`make bench-io`: imports, exports and their memory, each in a process of its own; a table in Markdown.

`--most 100000` leaves out the import of a million judgments. Beside them stands what Label Studio 1.23 takes: with
`--peer` here and now (it is installed under var/bench/peer; on a database server that nothing else uses, for its CPU is
that of all of it), else what it took on two cores of another machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.inout import files, peer
from tests.bench.queue.__main__ import SERVER, load, met, show, use_own_database

GOAL_IMPORT, GOAL_EXPORT = 4, 25  # times as fast
FORMS = (("votes", "jsonl"), ("label_studio", "json"), ("labels", "csv"), ("votes", "parquet"))
NOTHING = "– | – | –"  # to stand beside
Result = dict[str, Any]  # Any: numbers of one act


def child(*words: str) -> Result:
    """One act in a fresh process on the database of the bench."""
    command = [sys.executable, "-m", "tests.bench.inout.child", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return dict(json.loads(done.stdout))


def line(what: str, result: Result, beside: str = NOTHING) -> None:
    show(
        f"| {what} | {result['seconds']:.2f} | {result['cpu']:.2f} + {result['database']:.2f} | "
        f"{result['memory']:.0f} | {beside} |"
    )


def beside(theirs: float, goal: int, result: Result) -> str:
    times = theirs / result["seconds"]
    return f"{theirs:.3g} | {theirs / goal:.2f} | {times:.1f} times: {met(times >= goal)}"


def peer_line(what: str, act: peer.Act) -> None:
    show(f"| {what} | {act.seconds:.2f} | {act.web:.2f} + {act.database:.2f} | – | {NOTHING} |")


def imports(folder: Path, figures: peer.Figures) -> int:
    """10,000 rows of each kind; the project of the last, with 20,000 labels."""
    for contents, rows in (("comparisons", files.pairs), ("preferences", files.preferences)):
        path = files.write(folder / f"{contents}.jsonl", rows(10_000))
        result = child("import", contents, str(path))
        line(
            f"import of 10,000 {contents}",
            result,
            beside(figures.tasks_in.seconds, GOAL_IMPORT, result),
        )
    path = files.write(folder / "labels.jsonl", files.labels(10_000))
    result = child("import", "judgments", str(path))
    line("import of 10,000 pairs with 20,000 labels", result)
    return int(result["project"])


def exports(project: int, figures: peer.Figures) -> None:
    for form, file_format in FORMS:
        other = figures.table_out if file_format == "csv" else figures.labels_out
        result = child("export", str(project), form, file_format)
        what = f"export of 20,000 labels, {form} as {file_format}"
        told = beside(other.seconds, GOAL_EXPORT, result) if file_format != "parquet" else NOTHING
        line(what, result, told)


def large(folder: Path, most: int) -> None:
    """Ten times, and ten times more: the memory must not follow."""
    for count in (10_000, 100_000, 1_000_000):
        if count > most:
            return
        path = files.write(folder / f"judgments-{count}.jsonl", files.votes(count))
        result = child("import", "judgments", str(path))
        path.unlink()
        line(f"import of {count:,} judgments, one a row", result)
        if count == 100_000:
            given = child("export", str(int(result["project"])), "votes", "jsonl")
            line("export of 100,000 judgments, votes as jsonl", given)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-io", description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000, help="judgments in the largest file")
    parser.add_argument("--peer", action="store_true", help="measure Label Studio in this run")
    options = parser.parse_args()
    use_own_database("concord_bench_io")
    show(f"on {SERVER.rsplit('@', 1)[-1]}, load {load()}\n")
    show(
        "| what | on the clock, s | CPU: process + database, s | memory more, MB "
        "| Label Studio 1.23, s | goal, s | |"
    )
    show("|---|---:|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as name:
        figures = peer.measured(peer_line) if options.peer else peer.Figures()
        exports(imports(Path(name), figures), figures)
        large(Path(name), options.most)
    show(
        f"\nLabel Studio: list of projects {figures.list_ms:,.0f} ms, {figures.idle_mb:.0f} MB idle; "
        "ours by `make bench-queue`."
    )
    show(f"load at the end {load()}")


if __name__ == "__main__":
    main()
