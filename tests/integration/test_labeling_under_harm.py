"""Four gunicorn workers and 64 labelers on PostgreSQL, while workers are killed with -9 and connections are cut."""

from typing import Any

import pytest
from django.db import connection

from annotation.comparisons.models import Judgment
from tests.bench.queue import growth
from tests.bench.queue.harm import label_under_harm
from tests.bench.queue.runs import Load
from tests.bench.queue.server import serving
from tests.bench.queue.world import make_world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
WORKERS = 4
LOAD = Load(labelers=64, labels=400, seconds=120)  # it takes three seconds where nothing else runs


@pytest.mark.slow
def test_whoever_dies_nothing_acknowledged_is_lost_nothing_is_twice_and_nothing_over_filled():
    world = make_world(pairs=500, labelers=LOAD.labelers)
    with serving(workers=WORKERS) as server:
        harmed = label_under_harm(server, world, LOAD, workers=WORKERS)
    assert harmed.faults == []
    assert harmed.killed >= 2
    assert harmed.cut >= 2
    assert harmed.retries > 0
    assert LOAD.labelers < harmed.acknowledged <= Judgment.objects.count()
    assert harmed.statuses <= {404, 409}


@pytest.mark.parametrize("readable", [1, 100])
@pytest.mark.parametrize("is_depth_first", [False, True])
def test_a_label_costs_no_more_in_a_large_queue_after_a_long_history(readable, is_depth_first):
    """``readable`` 100: one of so many is in the labeler's language, of the large queue; of the small one, each."""
    before, after = (
        cost_of(pairs=400, judged=150, is_depth_first=is_depth_first),
        cost_of(pairs=20_000, judged=1_500, readable=readable, is_depth_first=is_depth_first),
    )
    assert max(before.statements, after.statements) <= 8
    assert max(before.next_statements, after.next_statements) <= 6
    assert after.rows_scanned == 0
    assert after.blocks < 1.5 * before.blocks


def cost_of(**queue: Any) -> growth.Cost:  # Any: as `make_queue` takes them
    world = growth.make_queue(**queue)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return growth.cost_of_a_label(world)
