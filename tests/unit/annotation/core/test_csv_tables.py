"""Tables as CSV."""

from annotation.core.csv_tables import csv_lines


def test_a_table_is_written_while_its_rows_are_read():
    numbers = iter(range(1, 9))
    lines = csv_lines(["number", "text"], ([number, "=1+1"] for number in numbers))
    assert [next(lines) for _ in range(3)] == ["number,text\r\n", "1,'=1+1\r\n", "2,'=1+1\r\n"]
    assert next(numbers) == 3
