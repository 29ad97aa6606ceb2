"""Numbers in figures say which way a difference goes only where one is left after rounding."""

from dataclasses import replace

import pytest

from auglik.inference.corruption import Posited
from auglik.inference.differences.rows import Metric
from auglik.report.sections.corrupted import _shown
from auglik.report.sections.differences import _entry
from auglik.report.sections.endpoints import compact, in_words
from auglik.scoring.columns import ECE, NLL


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (-0.0123, "nats", "−0.012"),
        (-0.0004, "nats", "−0.0004"),
        (-0.00004, "nats", "0.0000"),
        (0.0, "nats", "0.0000"),
        (-21.0, "points", "−21.0"),
        (0.004, "points", "+0.004"),
        (1234.5, "points", "+1234"),
        (float("nan"), "nats", "–"),
        (1.234e33, "nats", "+1.23e+33"),
        (-1e6, "nats", "−1e+06"),
    ],
)
def test_compact(value: float, unit: str, shown: str) -> None:
    assert compact(value, unit) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (-0.00004, "nats", "−0.00004"),
        (3e-7, "points", "+0.0000003"),
        (-0.0123, "nats", "−0.012"),
        (-1234.5, "%", "−1234"),
        (0.0, "nats", "0.0000"),
    ],
)
def test_what_is_known_of_a_difference_is_seen_of_its_number(value: float, unit: str, shown: str) -> None:
    assert compact(value, unit, known=True) == shown


def test_in_words() -> None:
    assert in_words(0.0004, "undecided", likelihood=True) == "+0.0004 (−0.04%)"
    assert in_words(0.00002, "worse", likelihood=True) == "+0.00002 (−0.002%)"
    assert in_words(0.00002, "better", likelihood=False) == "+0.00002"


def test_a_starred_entry_shows_on_which_side_of_zero_it_is() -> None:
    row = Metric(
        cell="a", reference="b", metric="clean_ece", exploratory=True, mean=-3e-5, standard_error=1e-6, lower=-4e-5,
        upper=-1e-6, p_adjusted=0.01, seeds=3,
    )  # fmt: skip
    assert _entry(row, ECE).text == "-0.0030 [-0.0040, -0.0001] *"
    assert _entry(replace(row, p_adjusted=0.5), ECE).text == "-0.00 [-0.00, -0.00]"
    assert _entry(replace(row, p_adjusted=0.5, exploratory=False), NLL).text == "-0.000030 [-0.000040, -0.000001]"
    posited = Posited(mean=-3e-5, lower=-4e-5, upper=-1e-5, p_better=1.0, p_adjusted=0.01)
    assert _shown(posited).text == "-0.00003 [-0.00004, -0.00001] *"
    assert _shown(replace(posited, p_adjusted=0.5)).text == "-0.0000 [-0.0000, -0.0000]"
