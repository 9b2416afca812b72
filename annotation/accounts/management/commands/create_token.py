"""`manage.py create_token USERNAME --name WHAT-FOR`: a key for the API, alone on standard output."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.accounts.models import User
from annotation.accounts.services import create_token


class Command(BaseCommand):
    help = "Make an API token for a person. The key is shown this once; only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="what the token is for")

    def handle(self, *_args: Any, **options: Any) -> None:  # Any: Django's own options
        user = User.objects.filter(username=options["username"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {options['username']!r}.")
        new = create_token(user=user, name=options["name"][:100])
        self.stderr.write("Keep this key now: it is not shown again.")
        self.stdout.write(new.key)
