"""`manage.py up`: migrate, then run web and workers under one supervisor until Ctrl-C."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from deploy import env
from deploy.supervisor import make_manager, run

INTERRUPTED = 130  # what honcho returns after Ctrl-C, which is how it is meant to be stopped


def prepare_database() -> None:
    """Bring the tables up to date and make the cache table."""
    call_command("migrate", verbosity=0)
    call_command("createcachetable")
    connections.close_all()  # the children open their own


def first_account() -> str:
    """How to make the first account, with a line end; empty where somebody can sign in already."""
    if get_user_model().objects.filter(is_active=True).exists():
        return ""
    return (
        "Nobody can sign in yet. In a second terminal, from this folder, make the first account "
        "(its password is shown once):\n"
        f"    {sys.executable} manage.py create_user YOUR_NAME --staff\n"
    )


class Command(BaseCommand):
    help = "Run the site and its workers, embedded, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default=env.text("HOST", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=env.integer("PORT", 8000))

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        manager = make_manager(host=options["host"], port=options["port"])
        prepare_database()
        hint = first_account()
        connections.close_all()
        self.stdout.write(
            f"Concord runs at http://{options['host']}:{options['port']} (Ctrl-C stops it)"
        )
        self.stdout.write(hint, ending="")
        code = run(manager)
        if code == INTERRUPTED:
            self.stdout.write(
                "Concord has stopped. What waits in line goes on with the next start."
            )
            return
        sys.exit(code)
