"""What a worker does before it forks the processes that do its jobs."""

import gc

from celery.signals import worker_before_create_process

from deploy import celery


def test_what_is_loaded_is_kept_out_of_the_garbage_collector():
    assert celery.app
    frozen_before = gc.get_freeze_count()
    worker_before_create_process.send(sender=None)
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    assert frozen > frozen_before
