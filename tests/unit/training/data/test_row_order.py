import pytest

from training.data.records import spread
from training.data.stream import Stream, endless_batch
from training.data.tokens import Tally


def stream(**changes: float) -> Stream:
    given = {"rows": 10, "per_step": 4, "seed": 1, "epochs": 2.0, "max_steps": 0} | changes
    return Stream(**given)  # type: ignore[arg-type] # numbers by field


def test_every_epoch_has_each_row_once_in_its_own_order() -> None:
    rows = [row for step in range(stream().steps) for row in stream().batch(step)]
    assert sorted(rows[:10]) == list(range(10))
    assert sorted(rows[10:]) == list(range(10))
    assert rows[:10] != rows[10:]


def test_a_batch_needs_no_batch_before_it() -> None:
    assert stream().batch(3) == stream().batch(3)


def test_where_rows_are_fewer_than_a_batch_some_come_again_in_it() -> None:
    batches = [endless_batch(step, rows=3, size=4, seed=1) for step in range(3)]
    assert [len(one) for one in batches] == [4, 4, 4]
    assert sorted(row for one in batches for row in one) == sorted([0, 1, 2] * 4)


def test_an_endless_batch_is_one_of_the_stream_while_rows_suffice() -> None:
    endless = [endless_batch(step, rows=10, size=5, seed=1) for step in range(4)]
    assert endless == [stream(per_step=5).batch(step) for step in range(4)]


def test_another_seed_is_another_order() -> None:
    assert stream(seed=2).batch(0) != stream().batch(0)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 5),
        ({"epochs": 0.5}, 2),
        ({"max_steps": 3}, 3),
        ({"per_step": 99, "epochs": 1.0}, 1),
        ({"epochs": 1.0, "per_step": 3}, 4),
    ],
)
def test_steps_are_what_the_epochs_take(changes: dict[str, float], steps: int) -> None:
    assert stream(**changes).steps == steps


@pytest.mark.parametrize("changes", [{"max_steps": 1}, {"epochs": 0.5}, {}])
def test_the_rows_that_are_passed_are_those_of_its_batches_in_their_order(
    changes: dict[str, float],
) -> None:
    own = stream(**changes)
    passed = {f"row {at}" for step in range(own.steps) for at in own.batch(step)}
    assert own.passed([f"row {at}" for at in range(10)]) == sorted(passed)


def test_the_last_batch_holds_what_is_left() -> None:
    assert len(stream(epochs=1.0).batch(2)) == 2


@pytest.mark.parametrize(
    ("at_most", "found"), [(0, "vvvvtt"), (9, "vvvvtt"), (3, "vvt"), (2, "vv"), (1, "v")]
)
def test_some_rows_are_spread_over_all(at_most, found):
    tally = Tally()
    assert "".join(spread("vvvvtt", at_most, tally)) == found
    assert tally.counts.get("prompts_not_measured", 0) == 6 - len(found)
