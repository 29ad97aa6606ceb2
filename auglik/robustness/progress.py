"""How far along a piece of a longer work is."""

from auglik.runs.evaluation import Progress


def part_of(progress: Progress, index: int, count: int) -> Progress:
    """Tells `progress` of the share done of the piece of work `index` of `count` equal ones."""
    return lambda share: progress((index + share) / count)
