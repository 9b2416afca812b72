"""What may be done about candidates: ask for them, store them; compare policies in the playground."""

from annotation.generation.services.asking import (
    cancel,
    request_candidates,
    request_planned,
    resume,
)
from annotation.generation.services.planning import save_plan
from annotation.generation.services.playground import (
    cancel_playground,
    request_playground,
    store_answer,
    store_scores,
)
from annotation.generation.services.storing import Response, Stored, store_candidates

__all__ = [
    "Response",
    "Stored",
    "cancel",
    "cancel_playground",
    "request_candidates",
    "request_planned",
    "request_playground",
    "resume",
    "save_plan",
    "store_answer",
    "store_candidates",
    "store_scores",
]
