"""The next item made while the caller waits."""

from collections.abc import Iterator

import pytest

from annotation.core.ahead import OneAhead


def counted(made: list[int]) -> Iterator[int]:
    for number in (1, 2, 3):
        made.append(number)
        yield number


def test_all_items_come_in_their_order_whether_they_were_begun_or_not():
    with OneAhead(counted([])) as items:
        came = [(number, number == 1 and items.begin()) for number in items]
    assert [number for number, _ in came] == [1, 2, 3]


@pytest.mark.parametrize(("asked", "in_all"), [(0, [1]), (2, [1, 2])])
def test_the_next_item_is_made_where_it_was_begun_and_no_further_one(asked, in_all):
    made: list[int] = []
    with OneAhead(counted(made)) as items:
        next(iter(items))
        for _ in range(asked):
            items.begin()
    assert made == in_all


def test_what_stops_the_making_is_raised_where_the_item_is_taken():
    with (
        OneAhead(1 // number for number in (1, 0)) as items,
        pytest.raises(ZeroDivisionError),
    ):
        list(items)
