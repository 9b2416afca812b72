"""Three annotators on 999 pairs: the figures that the PandaLM authors published."""

import gzip
import json

import numpy as np
import pytest

from annotation.measures import pairs
from annotation.measures.consensus import majority
from tests.real_data import REAL_DATA
from tests.unit.annotation.measures.builders import from_matrix

FILE = REAL_DATA / "pandalm_3annotators.jsonl.gz"


@pytest.fixture(scope="module")
def pandalm():
    if not FILE.is_file():
        pytest.skip(f"the real data is absent: no {FILE.name} in CONCORD_DATA or ../shared/data")
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        labels = [json.loads(line)["labels"] for line in lines]
    people = [[row[f"annotator{number}"] for row in labels] for number in (1, 2, 3)]
    return from_matrix(people, scale=["a", "tie", "b"])


def test_cohens_kappas_equal_the_published_ones(pandalm):
    """Published as .85, .88 and .86."""
    kappas = pairs.cohen_values(pairs.cross_tables(pandalm)[2], np.eye(3))
    assert kappas == pytest.approx([0.8520, 0.8789, 0.8617], abs=5e-5)


def test_the_majority_equals_the_published_one(pandalm):
    """Published as 472 b, 422 a and 105 ties."""
    assert np.bincount(majority(pandalm).winners).tolist() == [422, 105, 472]
