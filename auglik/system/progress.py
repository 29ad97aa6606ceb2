"""How much of a piece of work is done."""

from collections.abc import Callable

Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""


def part_of(progress: Progress, index: int, count: int) -> Progress:
    """The progress of part `index` of `count` equal parts of a work, reported to `progress`."""
    return lambda share: progress((index + share) / count)
