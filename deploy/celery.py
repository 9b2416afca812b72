"""The Celery app. Workers load the `workers` package; the web only sends task names."""

import gc
import os
import signal
import warnings
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import beat_embedded_init, beat_init, setup_logging, worker_init
from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES

from deploy.child import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")

TRANSPORT_ALIASES["filesystem"] = "deploy.folder_broker:Transport"

app = Celery("concord")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery warns root of messages that run as code. The settings take JSON alone, so that it has nothing to warn of.
warnings.filterwarnings("ignore", category=SecurityWarning)
app.autodiscover_tasks(["workers"], related_name="queues")


@setup_logging.connect
def use_django_logging(**_kwargs: Any) -> None:  # Any: Celery's signal arguments
    """Keep Django's logging; without this Celery replaces the handlers."""


@worker_init.connect
@beat_init.connect
def refuse_unsafe_production(**_kwargs: Any) -> None:  # Any: Celery's signal arguments
    """End what must not start; Celery would only log another exception."""
    from deploy import checks

    try:
        checks.refuse_unsafe_production()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from error


@worker_init.connect
def keep_what_is_loaded(**_kwargs: Any) -> None:  # Any: Celery's signal arguments
    """Out of the garbage collector, as `deploy.serving` does: it takes a tenth of an import's time.

    The tasks are loaded by then, and no process is forked.
    """
    gc.collect()
    gc.freeze()


@beat_embedded_init.connect
def end_with_the_worker(**_kwargs: Any) -> None:  # Any: Celery's signal arguments
    """A worker that is killed takes its beat along; two of them would ring twice."""
    die_with_parent(signal.SIGKILL)


def make_broker_folders() -> None:
    """Create the folders of the embedded broker."""
    from django.conf import settings

    for key in ("data_folder_in", "control_folder", "processed_folder"):
        if path := settings.CELERY_BROKER_TRANSPORT_OPTIONS.get(key):
            Path(path).mkdir(parents=True, exist_ok=True)
