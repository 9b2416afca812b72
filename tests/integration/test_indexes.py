"""Every index costs each label and each imported row; in the tables that grow with them none is kept for nothing."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db
GROWING = (
    "prompts_prompt",
    "generation_candidate",
    "comparisons_comparison",
    "comparisons_assignment",
    "comparisons_judgment",
    "comparisons_queueposition",
)
_COVERED = """
SELECT short.indexrelid::regclass::text, long.indexrelid::regclass::text
FROM pg_index short JOIN pg_index long USING (indrelid)
WHERE indrelid::regclass::text = ANY(%s) AND short.indexrelid <> long.indexrelid AND NOT short.indisunique
    AND short.indpred IS NULL AND long.indpred IS NULL AND short.indexprs IS NULL AND long.indexprs IS NULL
    AND (string_to_array(long.indkey::text, ' '))[:short.indnkeyatts] = string_to_array(short.indkey::text, ' ')
"""


def covered(tables):
    with connection.cursor() as cursor:
        cursor.execute(_COVERED, [list(tables)])
        return cursor.fetchall()


def test_no_index_is_the_beginning_of_another():
    assert covered(GROWING) == []


def test_one_that_is_would_be_found():
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX needless ON comparisons_judgment (project_id)")
    assert ("needless", "judgments_by_project") in covered(GROWING)
