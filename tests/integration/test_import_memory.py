"""An import of judgments takes no more memory for four times the rows."""

import json
import tracemalloc

import pytest

from annotation.comparisons.models import Judgment
from annotation.comparisons.services.importing import run_any_import
from annotation.prompts.models import PromptImport
from annotation.prompts.services import importing
from annotation.prompts.services.requesting import request_import
from tests import factories

pytestmark = pytest.mark.django_db


def peak_of(rows: int) -> int:
    lines = (
        json.dumps(
            {
                "prompt": f"Question {number}?",
                "response_a": f"{number} " + "a" * 1_000,
                "response_b": f"{number} " + "b" * 1_000,
                "labeler": f"labeler {number % 50}",
                "label": "a",
            }
        ).encode()
        + b"\n"
        for number in range(rows)
    )
    row = request_import(
        project=factories.project(),
        chunks=lines,
        filename="rows.jsonl",
        actor=None,
        contents=PromptImport.Contents.JUDGMENTS,
    )
    tracemalloc.start()
    run_any_import(import_id=row.pk, progress=lambda *_told: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Judgment.objects.filter(project=row.project).count() == rows
    return peak


def test_memory_does_not_grow_with_the_judgments_of_a_file(monkeypatch):
    """900 rows more hold 1.8 MB more text; the peak may grow by a sixth of it."""
    monkeypatch.setattr(importing, "BATCH_ROWS", 100)
    peak_of(100)  # what is imported and cached once
    small, large = peak_of(300), peak_of(1_200)
    assert large - small < 300_000
