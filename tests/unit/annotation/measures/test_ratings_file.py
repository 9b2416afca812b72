"""Reading ratings from files that people send: every good row kept, every other one listed."""

import json

import pytest

from annotation.measures.coefficients import Level
from annotation.measures.ratings_file import ScaleOrigin, UnreadableRatingsError, read_ratings
from annotation.measures.report import report_file

GOOD = "item,labeler,label\n1,ann,2\n1,bob,2\n2,ann,1\n2,bob,3\n"


@pytest.fixture
def csv_file(tmp_path):
    def write(content, encoding="utf-8"):
        path = tmp_path / "ratings.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (GOOD, "utf-8"),
        (GOOD, "utf-8-sig"),
        (GOOD, "utf-16"),
        (GOOD.replace(",", ";"), "utf-8"),
        (GOOD.replace(",", "\t"), "utf-8"),
        (GOOD.replace(",", "|"), "cp1252"),
        (GOOD.replace("\n", "\r\n"), "utf-8"),
        (GOOD.replace("\n", "\n\n"), "utf-8"),
        (GOOD.replace("item,labeler", " Item,LABELER "), "utf-8"),
        (GOOD.replace("ann", "Zoë").replace("bob", "Jörg"), "cp1252"),
        (GOOD.replace("2,ann,1", "2,ann,1.0"), "utf-8"),
    ],
)
def test_the_same_table_is_read_from_every_usual_dialect(csv_file, content, encoding):
    ratings = read_ratings(csv_file(content, encoding))
    assert ratings.table.labels.tolist() == [1, 1, 0, 2]
    assert ratings.table.items.tolist() == [0, 0, 1, 1]
    assert ratings.rejected == ()


def test_names_in_windows_1252_are_read_as_written(csv_file):
    ratings = read_ratings(csv_file(GOOD.replace("ann", "Zoë"), "cp1252"))
    assert ratings.labelers == ("Zoë", "bob")


def test_other_columns_and_their_order_do_not_matter(csv_file):
    ratings = read_ratings(csv_file("when,label,item,labeler\nnow,a,1,ann\nnow,b,1,bob\n"))
    assert (ratings.labelers, ratings.table.scale.names) == (("ann", "bob"), ("a", "b"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("3,ann", "2 fields where the header has 3"),
        ("3,ann,1,more", "4 fields"),
        ("3,,1", "labeler is empty"),
        ("3,ann, ", "label is empty"),
        ("3,ann,9", "'9' is not on the scale 1, 2, 3"),
        ("1,ann,3", "labeled item '1' on line 2 already"),
        ("3,a\0nn,1", "NUL"),
        ('3,ann,"1', "quotation mark is left open"),
        ('3,"ann,1', "quotation mark is left open"),
        (f"3,{'x' * 200_000},1", "field larger than field limit"),
    ],
)
def test_a_bad_row_is_listed_with_its_line_and_the_good_ones_are_kept(csv_file, row, reason):
    content = GOOD + row + "\n4,ann,1\n"
    ratings = read_ratings(csv_file(content), scale=["1", "2", "3"])
    assert [rejected.line for rejected in ratings.rejected] == [6]
    assert reason in ratings.rejected[0].reason
    assert ratings.items == ("1", "2", "4")


def test_an_open_quotation_mark_costs_its_own_line_and_no_other(csv_file):
    more = "".join(f"{item},ann,1\n" for item in range(10, 30_010))
    ratings = read_ratings(csv_file(GOOD + '3,bob,"1\n' + more))
    assert [(row.line, len(ratings.items)) for row in ratings.rejected] == [(6, 30_002)]


def test_a_column_that_is_not_ours_may_span_lines(csv_file):
    content = 'item,labeler,label,why\n1,ann,a,"clear,\nand kind"\n1,bob,b,"\n"\n2,bob\n'
    ratings = read_ratings(csv_file(content))
    assert (len(ratings.table.items), [row.line for row in ratings.rejected]) == (2, [6])


def test_numbers_are_ordered_as_numbers_and_names_by_the_alphabet(csv_file):
    numbers = read_ratings(csv_file("item,labeler,label\n1,a,10\n1,b,9\n1,c,-2.5\n"))
    assert (numbers.table.scale.names, numbers.scale_origin) == (
        ("-2.5", "9", "10"),
        ScaleOrigin.NUMERIC,
    )
    names = read_ratings(csv_file("item,labeler,label\n1,a,10\n1,b,9\n1,c,good\n"))
    assert (names.table.scale.names, names.scale_origin) == (
        ("10", "9", "good"),
        ScaleOrigin.ALPHABETICAL,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column item"),
        ("item,labeler\n1,a\n", "no column label; its header names item, labeler"),
        ("item,labeler,label\n", "no row that can be used"),
        ("item,labeler,label\n1,a,\n", "The first: The label is empty"),
        (b"\xff\xfei\x00t\x00e", "not text that can be read"),
        ("item,labeler,label\n" + "".join(f"{n},a,{n}\n" for n in range(101)), "at most 100"),
        (bytes(range(256)) * 4, "This is no text"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(csv_file, content, message):
    with pytest.raises(UnreadableRatingsError, match=message):
        read_ratings(csv_file(content))


@pytest.mark.parametrize(
    ("scale", "message"),
    [(["1", "1"], "each label once"), (["1", " "], "one is empty"), ([], "at least one label")],
)
def test_a_scale_that_is_none_is_refused(csv_file, scale, message):
    with pytest.raises(UnreadableRatingsError, match=message):
        read_ratings(csv_file(GOOD), scale=scale)


def test_a_declared_label_that_nobody_gave_counts_for_chance(csv_file):
    """AC1 with p_a = 1/2: shares .25, .5, .25 give p_e .3125 on 3 labels, .15625 on 5."""
    path = csv_file(GOOD)
    three = report_file(path)["gwet_ac1"]["value"]
    five = report_file(path, scale=["1", "2", "3", "4", "5"])["gwet_ac1"]["value"]
    assert three == pytest.approx((0.5 - 0.3125) / (1 - 0.3125))
    assert five == pytest.approx((0.5 - 0.15625) / (1 - 0.15625))


def test_the_report_is_json_with_value_interval_n_and_reason(csv_file):
    shown = json.loads(json.dumps(report_file(csv_file(GOOD), level=Level.ORDINAL)))
    assert shown["scale"]["origin"] == "numeric"
    assert set(shown["krippendorff_alpha"]) == {"value", "interval", "n", "reason"}
    assert [one["labeler"] for one in shown["labelers"]] == ["ann", "bob"]
    assert shown["percent_agreement"]["n"] == 2


def test_an_alphabet_used_as_a_rank_is_pointed_out(csv_file):
    path = csv_file(GOOD.replace(",2", ",good"))
    assert "declare the scale" in report_file(path, level=Level.ORDINAL)["scale"]["note"]


def test_a_binary_file_is_called_so_and_not_printed(tmp_path):
    path = tmp_path / "program.csv"
    path.write_bytes(b"\x7fELF\x02\x01\x00item,labeler,label\n1,a,1\n")
    with pytest.raises(UnreadableRatingsError, match="This is no text") as refused:
        read_ratings(path)
    assert "\x00" not in str(refused.value)
