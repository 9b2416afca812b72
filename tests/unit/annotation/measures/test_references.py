"""Published and independently computed values: every case of statistics_references.json.

Sources and tolerances are in the file; `docs/formulas.md` says which formula each case holds.
"""

import json

import pytest

from tests.real_data import REAL_DATA
from tests.unit.annotation.measures import reference_statistics as known

FILE = REAL_DATA / "statistics_references.json"


def expectations():
    if not FILE.is_file():
        reason = f"the reference data is absent: no {FILE.name} in CONCORD_DATA or ../shared/data"
        return [pytest.param(None, None, marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(case, expected, id=f"{case['id']}-{expected['stat']}")
        for case in json.loads(FILE.read_text())["cases"]
        for expected in case["expected"]
    ]


@pytest.mark.parametrize(("case", "expected"), expectations())
def test_a_statistic_equals_its_reference(case, expected):
    computed = known.compute(case, expected["stat"])
    assert computed == known.near(expected["value"], expected["tol"])
