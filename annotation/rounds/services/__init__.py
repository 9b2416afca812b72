"""What may be done with rounds: start one, move what runs, pause, resume, cancel, go on with fewer labels or votes."""

from annotation.rounds.services.advancing import advance, advance_all
from annotation.rounds.services.starting import start_round
from annotation.rounds.services.steering import (
    cancel_round,
    pause_round,
    promote_result,
    resume_round,
    take_labels,
    take_votes,
)

__all__ = [
    "advance",
    "advance_all",
    "cancel_round",
    "pause_round",
    "promote_result",
    "resume_round",
    "start_round",
    "take_labels",
    "take_votes",
]
