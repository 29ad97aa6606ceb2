"""Rows of a large array some at a time, so that it is never copied whole."""

AT_ONCE = 2**20
"""Numbers that are worked on at a time."""


def blocks(rows: int, width: int) -> list[slice]:
    """Slices of `rows` rows of `width` numbers, in order."""
    size = max(1, AT_ONCE // max(1, width))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
