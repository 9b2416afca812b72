"""What may be done with training runs: queue them, take in what they say, finish them."""

from annotation.runs.services.finishing import finish_run
from annotation.runs.services.following import keep_log, move_run, take_in_events, tell
from annotation.runs.services.queueing import (
    Inputs,
    SampleOn,
    cancel_run,
    check_sampler,
    checked_spec,
    clone_run,
    queue_run,
    resume_run,
)

__all__ = [
    "Inputs",
    "SampleOn",
    "cancel_run",
    "check_sampler",
    "checked_spec",
    "clone_run",
    "finish_run",
    "keep_log",
    "move_run",
    "queue_run",
    "resume_run",
    "take_in_events",
    "tell",
]
