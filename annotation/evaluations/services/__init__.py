"""What may be done about the worth of models: keep the facts of their cards."""

from annotation.evaluations.services.keeping import HeldOutPair, keep_card

__all__ = ["HeldOutPair", "keep_card"]
