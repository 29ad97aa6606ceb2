"""Numbers in figures say which way a difference goes only where one is left after rounding."""

import pytest

from auglik.report.sections.endpoints import compact, in_words


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
    ],
)
def test_compact(value: float, unit: str, shown: str) -> None:
    assert compact(value, unit) == shown


def test_in_words() -> None:
    assert in_words(0.0004, likelihood=True) == "+0.0004 (−0.04%)"
