"""What may be done about the worth of models: keep the facts of their cards, compare policies blind."""

from annotation.evaluations.services.asking import ask_where_it_disagrees
from annotation.evaluations.services.evaluating import (
    advance_evaluations,
    start_evaluation,
    stop_evaluation,
    store_scores,
)
from annotation.evaluations.services.keeping import HeldOutPair, keep_card

__all__ = [
    "HeldOutPair",
    "advance_evaluations",
    "ask_where_it_disagrees",
    "keep_card",
    "start_evaluation",
    "stop_evaluation",
    "store_scores",
]
