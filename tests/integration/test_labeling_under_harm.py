"""Four gunicorn workers and 64 labelers on PostgreSQL, while workers are killed with -9 and connections are cut."""

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
    with serving(workers=WORKERS, threads=4) as server:
        harmed = label_under_harm(server, world, LOAD, workers=WORKERS)
    assert harmed.faults == []
    assert harmed.killed >= 2
    assert harmed.cut >= 2
    assert harmed.retries > 0
    assert LOAD.labelers < harmed.acknowledged <= Judgment.objects.count()
    assert harmed.statuses <= {404, 409}


def test_a_label_costs_no_more_in_a_large_queue_after_a_long_history():
    costs = []
    for pairs, judged in ((400, 40), (10_000, 1_500)):
        world = growth.make_queue(pairs=pairs, judged=judged)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        costs.append(growth.cost_of_a_label(world))
    small, large = costs
    assert large.statements == small.statements <= 8
    assert large.next_statements == small.next_statements <= 6
    assert large.rows_scanned == 0
    assert large.blocks < 1.5 * small.blocks
