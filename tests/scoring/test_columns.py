"""Columns of metrics: every one is of a score, and what a table of text says of absent values."""

import math

from auglik.scoring.columns import ABSENT, ERROR, NLL, REPORTED, text_table
from auglik.scoring.intervals import Interval
from auglik.scoring.metrics import Scores


def test_every_column_shows_a_score() -> None:
    assert {column.name for column in REPORTED} <= set(Scores._fields)


def test_means_are_scaled_and_have_errors_where_there_are_several_seeds() -> None:
    assert ERROR.mean([0.1, 0.2]) == "15.00 ± 5.00"
    assert NLL.mean([0.5]) == "0.5000"
    assert NLL.mean([1e33]) == "1e+33"
    assert ERROR.mean([]) == ERROR.mean([math.nan, 0.1]) == NLL.mean([math.inf]) == ABSENT


def test_differences_have_signs_and_bounds() -> None:
    assert ERROR.difference(Interval(-0.01, 0.001, -0.02, 0.03, 3)) == "-1.00 [-2.00, +3.00]"
    assert ERROR.difference(Interval(-0.01, math.nan, math.nan, math.nan, 1)) == "-1.00"
    small = Interval(-3e-5, 1e-6, -4e-5, -2e-6, 3)
    assert ERROR.difference(small) == "-0.00 [-0.00, -0.00]"
    assert ERROR.difference(small, sides=True) == "-0.0030 [-0.0040, -0.0002]"


def test_a_table_of_text_stands_in_columns() -> None:
    assert text_table([ERROR.title, NLL.title], {"cell": ["1", "2  "]}, 6, 10) == [
        "         error %       NLL",
        "cell           1       2",
    ]


def test_a_table_of_text_is_as_wide_as_its_texts() -> None:
    lines = text_table([ERROR.title, NLL.title], {"cell": ["89.80 ± 0.00", "8140.7406 ± 3285.7641"]}, 6)
    assert lines[1].endswith("      89.80 ± 0.00  8140.7406 ± 3285.7641")
    assert len(lines[0]) == len(lines[1]) == 6 + 18 + len("8140.7406 ± 3285.7641") + 2
