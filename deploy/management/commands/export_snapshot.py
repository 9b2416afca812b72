"""`manage.py export_snapshot ID`: the records of a snapshot, to a file or to standard output."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.datasets.models import DatasetSnapshot
from annotation.datasets.services.exporting import SNAPSHOT_FORMS, Form, export_of
from deploy.management.writing import add_file_arguments, write_export
from training.spec.records import SPLITS


class Command(BaseCommand):
    help = "Export a finished snapshot in a shape that trainers read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", type=int, help="The number of the snapshot.")
        parser.add_argument(
            "--form",
            choices=[one.value for one in SNAPSHOT_FORMS],
            default=Form.PREFERENCE_CHAT.value,
        )
        parser.add_argument("--split", choices=SPLITS, default="", help="All when left out.")
        add_file_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:  # Any: Django's own
        snapshot = DatasetSnapshot.objects.filter(pk=options["snapshot"]).first()
        if snapshot is None:
            raise CommandError(f"There is no snapshot {options['snapshot']}.")
        form, split = Form(options["form"]), options["split"]
        write_export(lambda: export_of(snapshot, form=form, split=split), options)
