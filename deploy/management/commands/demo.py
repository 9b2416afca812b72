"""`manage.py demo`: start web and workers, run one lap of RLHF with real parts, leave the site running."""

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from deploy import env
from deploy.child import STARTED_BY
from deploy.demo import accounts, report
from deploy.demo.lap import Lap
from deploy.demo.plan import ALSO, DEMO, REAL, SMOKE, Plan
from deploy.demo.stages import run_lap
from deploy.demo.watch import MemoryMeter, log_file
from deploy.management.commands.up import prepare_database
from deploy.supervisor import refuse_a_taken_port

STOP_SECONDS = 60


class Command(BaseCommand):
    help = "Run one whole lap of RLHF, then leave the site running until Ctrl-C (CI=true or EXIT=1: end)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data",
            type=Path,
            help="folder with real human judgments, as docs/guide/importing.md says",
        )
        parser.add_argument("--model", type=Path, help="folder of the policy to start from")
        parser.add_argument(
            "--also",
            action="append",
            choices=ALSO,
            default=[],
            help="train this too, from the same SFT policy, snapshot and reward model",
        )
        parser.add_argument(
            "--smoke", action="store_true", help="a lap in seconds, for a tiny model"
        )
        parser.add_argument(
            "--attach", action="store_true", help="use workers that already run; start none"
        )
        parser.add_argument("--port", type=int, default=env.integer("PORT", 8000))

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        began = time.monotonic()
        plan = SMOKE if options["smoke"] else REAL if options["data"] else DEMO
        data = checked_data(options["data"])
        for signum in (signal.SIGTERM, signal.SIGINT):  # make in the background ignores SIGINT
            signal.signal(signum, signal.default_int_handler)
        meter = MemoryMeter()
        meter.start()
        prepare_database()
        site = attached() if options["attach"] else supervised(options["port"])
        try:
            with site as workers:
                self.lap(
                    plan,
                    data=data,
                    model=options["model"],
                    also=tuple(dict.fromkeys(options["also"])),
                    workers=workers,
                    began=began,
                    meter=meter,
                )
                if options["attach"]:
                    return
                if env.boolean("CI") or env.boolean("EXIT"):
                    self.stdout.write(
                        "\nThe lap is over and the site stopped; `make up` starts it again."
                    )
                else:
                    self.stdout.write(f"\nThe site runs at {workers.address} (Ctrl-C stops it)")
                    workers.wait()
                    raise CommandError(
                        f"The site has stopped. Why is at the end of {log_file()}; `make up` starts it again."
                    )
        except KeyboardInterrupt:
            self.stderr.write("\nStopped. What was done is kept: `make demo` goes on from here.")
            sys.exit(130)

    def lap(
        self,
        plan: Plan,
        *,
        data: Path | None,
        model: Path | None,
        also: tuple[str, ...],
        workers: "Workers",
        began: float,
        meter: MemoryMeter,
    ) -> None:
        """Run the lap, write `summary.json`, print the table and the sign-ins."""
        people, project = accounts.prepare(plan.project, overlap=plan.overlap)
        if people.passwords:
            self.stdout.write(
                f"The site is up{workers.address and ' at '}{workers.address}.\n{accounts.card(people)}\n"
            )
        lap = Lap(project=project, actor=people.admin, plan=plan, is_alive=workers.alive)
        summary = run_lap(lap, data=data, model=model, also=also)
        summary["seconds"] = {**lap.stages.seconds, "total": round(time.monotonic() - began, 1)}
        summary["peak_memory_mb"] = meter.stop()
        path = settings.CONCORD_VAR / "demo" / "summary.json"
        report.write_summary(summary, path)
        self.stdout.write(f"\n{report.table(summary)}\n  the same facts: {path}\n")
        self.stdout.write(accounts.card(people))


class Workers:
    """The supervisor as a child process: it dies with this one."""

    def __init__(self, process: "subprocess.Popen[bytes] | None" = None, address: str = "") -> None:
        self.process, self.address = process, address

    def alive(self) -> bool:
        return self.process is None or self.process.poll() is None

    def wait(self) -> None:
        if self.process is not None:
            self.process.wait()


@contextmanager
def supervised(port: int) -> Iterator[Workers]:
    """Web and workers for as long as the block runs; their output goes to `log_file()`."""
    refuse_a_taken_port("127.0.0.1", port)
    log = log_file()
    log.parent.mkdir(parents=True, exist_ok=True)
    up = [sys.executable, "manage.py", "up", "--port", str(port)]
    connections.close_all()
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "deploy.child", *up],
            stdout=output,
            stderr=output,
            cwd=settings.BASE_DIR,
            env=env.with_values(
                DATABASE_URL=settings.CONCORD_DATABASE_URL, **{STARTED_BY: str(os.getpid())}
            ),
        )
    try:
        yield Workers(process, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def attached() -> Iterator[Workers]:
    """Workers that someone else runs."""
    yield Workers()


def checked_data(folder: Path | None) -> Path | None:
    """The folder, resolved; refused with a sentence if it does not hold what the lap reads."""
    if folder is None:
        return None
    for name in ("pandalm_3annotators.jsonl.gz", "hh_helpful_pairs.jsonl.gz"):
        if not (folder / name).is_file():
            raise CommandError(
                f"There is no {name} in {folder}. docs/guide/importing.md says which files DATA holds."
            )
    return folder.resolve()
