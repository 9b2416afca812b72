"""A snapshot is built and exported in flat memory: four times the prompts take hardly more."""

import tracemalloc

import pytest

from annotation.comparisons.models import Comparison, Judgment
from annotation.core.text import fingerprint
from annotation.datasets import selectors
from annotation.datasets.services import building, exporting, files, requesting
from annotation.generation.models import Candidate
from annotation.prompts.models import Prompt
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

COLUMN_BYTES = 11 * 8  # a judgment in the columns that the manifest's agreement is made of


def filled(prompts):
    """A project with two candidates of 4,000 characters and one judgment a prompt."""
    project, labeler = factories.project(), factories.user()
    rows = Prompt.objects.bulk_create(
        Prompt(
            project=project,
            turns=[{"role": "user", "content": f"Question {number}"}],
            fingerprint=fingerprint([str(number)]),
        )
        for number in range(prompts)
    )
    pairs = Candidate.objects.bulk_create(
        Candidate(
            project=project,
            prompt=prompt,
            source="import",
            text=letter * 4_000,
            fingerprint=fingerprint([letter]),
        )
        for prompt in rows
        for letter in "ab"
    )
    comparisons = Comparison.objects.bulk_create(
        Comparison(project=project, prompt=prompt, candidate_ids=[one.pk, other.pk])
        for prompt, one, other in zip(rows, pairs[::2], pairs[1::2], strict=True)
    )
    Judgment.objects.bulk_create(
        Judgment(
            project=project,
            comparison=comparison,
            labeler=labeler,
            ranking=[[pk] for pk in comparison.candidate_ids],
            strengths=[2],
        )
        for comparison in comparisons
    )
    return project


def peak_of(project):
    snapshot = requesting.request_snapshot(project=project, name="Big", query={}, actor=None)
    tracemalloc.start()
    building.build_snapshot(snapshot=snapshot, progress=lambda *_: None)
    type(snapshot).objects.filter(pk=snapshot.pk).update(status="done")
    snapshot.refresh_from_db()
    for form in (exporting.Form.GROUPS, exporting.Form.PREFERENCE_CHAT):
        for _ in files.jsonl(exporting.rows_of(snapshot, form=form)):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_prompts(monkeypatch):
    """450 prompts more hold 3.6 MB more text; the peak may grow by their columns, and some slack."""
    monkeypatch.setattr(selectors, "PROMPTS_AT_ONCE", 25)
    peak_of(filled(20))  # what is imported and cached once
    small, large = peak_of(filled(250)), peak_of(filled(700))
    assert large - small < 450 * COLUMN_BYTES * 4 + 500_000
