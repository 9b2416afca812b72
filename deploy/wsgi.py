"""The web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
import deploy.celery
from deploy.checks import refuse_unsafe_production

application = get_wsgi_application()
import deploy.urls  # noqa: E402, F401 - before the workers are forked, not in each with its first request

refuse_unsafe_production()
