"""`manage.py export_judgments PROJECT`: every judgment that stands, or every signal, to a file or to stdout."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.datasets.services.exporting import PROJECT_FORMS, Form, judgments_export
from annotation.projects.models import Project
from deploy.management.writing import add_file_arguments, write_export


class Command(BaseCommand):
    help = "Export the judgments of a project as votes, rankings, a label table or Label Studio tasks, or its signals."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", type=int)
        parser.add_argument(
            "--form", choices=[one.value for one in PROJECT_FORMS], default=Form.VOTES.value
        )
        add_file_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:  # Any: Django's own
        project = Project.objects.filter(pk=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        form = Form(options["form"])
        write_export(lambda: judgments_export(project, form=form), options)
