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
    assert ERROR.mean([]) == ERROR.mean([math.nan, 0.1]) == NLL.mean([math.inf]) == ABSENT


def test_differences_have_signs_and_bounds() -> None:
    assert ERROR.difference(Interval(-0.01, 0.001, -0.02, 0.03, 3)) == "-1.00 [-2.00, +3.00]"
    assert ERROR.difference(Interval(-0.01, math.nan, math.nan, math.nan, 1)) == "-1.00"


def test_a_table_of_text_stands_in_columns() -> None:
    assert text_table([ERROR.title, NLL.title], {"cell": ["1", "2  "]}, 6, 8) == [
        "       error %     NLL",
        "cell         1     2",
    ]
