"""Comparisons, what labelers say of them, what tests labelers, and where they stand."""

from annotation.comparisons.models.draws import OverlapDraw
from annotation.comparisons.models.labeling import (
    Assignment,
    Batch,
    Comparison,
    Flag,
    Judgment,
    Requeue,
    Signal,
)
from annotation.comparisons.models.places import (
    AgreementBell,
    LabelerSettings,
    QueuePosition,
    TimeAtWork,
)
from annotation.comparisons.models.testing import Exam, ExamAttempt, GoldItem

__all__ = [
    "AgreementBell",
    "Assignment",
    "Batch",
    "Comparison",
    "Exam",
    "ExamAttempt",
    "Flag",
    "GoldItem",
    "Judgment",
    "LabelerSettings",
    "OverlapDraw",
    "QueuePosition",
    "Requeue",
    "Signal",
    "TimeAtWork",
]
