"""`manage.py agreement FILE.csv`: agreement of a table of ratings, without a database."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.measures.coefficients import Level
from annotation.measures.ratings_file import UnreadableRatingsError
from annotation.measures.report import AgreementReport, StatisticJson, report_file

SHOWN_REJECTIONS = 20


class Command(BaseCommand):
    help = "Measure the agreement in a CSV file with the columns item, labeler and label."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a CSV file: item, labeler, label")
        parser.add_argument(
            "--level",
            default=str(Level.NOMINAL),
            help=f"how labels compare for Krippendorff's alpha: {', '.join(Level)}",
        )
        parser.add_argument("--scale", help="every label there is, in order: 1,2,3,4,5")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, **options: Any) -> None:  # Any: Django passes options untyped
        path: Path = options["file"]
        scale = options["scale"].split(",") if options["scale"] is not None else None
        try:
            report = report_file(path, level=_level(options["level"]), scale=scale)
        except UnreadableRatingsError as problem:
            raise CommandError(f"{path}: {problem}") from problem
        except FileNotFoundError as problem:
            raise CommandError(f"There is no file {path}. Check the path.") from problem
        except OSError as problem:
            raise CommandError(f"{path} cannot be read: {problem.strerror}.") from problem
        self.stdout.write(json.dumps(report, indent=2) if options["json"] else _as_text(report))


def _level(name: str) -> Level:
    try:
        return Level(name)
    except ValueError as problem:
        known = ", ".join(Level)
        raise CommandError(f"There is no level {name!r}. Choose one of: {known}.") from problem


def _as_text(report: AgreementReport) -> str:
    scale, people = report["scale"], len(report["labelers"])
    lines = [
        f"{report['judgments']} judgments of {report['items']} items by {people} labelers",
        f"scale ({scale['origin']}): {', '.join(scale['labels'])}",
        *([scale["note"]] if scale["note"] else []),
        "",
        _line("Percent agreement", report["percent_agreement"]),
        _line(f"Krippendorff's alpha ({report['level']})", report["krippendorff_alpha"]),
        _line("Fleiss' kappa", report["fleiss_kappa"]),
        _line("Gwet's AC1", report["gwet_ac1"]),
        _line("Cohen's kappa", report["cohen_kappa"]),
        "",
        *(
            _line(f"{one['labeler']} with the others", one["agreement"])
            for one in report["labelers"]
        ),
    ]
    return "\n".join([*lines, *_rejections(report)])


def _line(name: str, statistic: StatisticJson) -> str:
    if statistic["value"] is None:
        return f"{name:<36} -      {statistic['reason']}"
    interval = statistic["interval"]
    ends = f"[{interval[0]:.3f}, {interval[1]:.3f}]" if isinstance(interval, list) else ""
    return f"{name:<36} {statistic['value']:.3f}  {ends}  n = {statistic['n']}".rstrip()


def _rejections(report: AgreementReport) -> list[str]:
    rejected = report["rejected"]
    if not rejected:
        return []
    shown = [f"  line {row['line']}: {row['reason']}" for row in rejected[:SHOWN_REJECTIONS]]
    more = len(rejected) - len(shown)
    rest = [f"  and {more} more: see them all with --json"] if more else []
    return ["", f"{len(rejected)} rows were left out:", *shown, *rest]
