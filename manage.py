#!/usr/bin/env python
"""Django's command line."""

import os
import sys

# These read a file, or nothing, and no row: they start no embedded database.
WITHOUT_DATABASE = {"agreement", "help", "-h", "--help"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
    if WITHOUT_DATABASE.intersection({*sys.argv[1:2], *sys.argv[-1:]}):
        os.environ.setdefault("DATABASE_URL", "postgres://localhost/unused")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{error} It is read from the environment; mend it there and try again.")


if __name__ == "__main__":
    main()
