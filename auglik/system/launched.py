"""What torchrun says of this process in its environment; read without torch."""

import os
from typing import NamedTuple

STARTED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Launched(NamedTuple):
    """One of `world` processes, `local` of them on its machine, and its number among either."""

    rank: int
    world: int
    local_rank: int
    local: int


def launched() -> Launched | None:
    """None for a process that torchrun did not start, or started alone."""
    if not all(os.environ.get(name) for name in STARTED) or os.environ["WORLD_SIZE"] == "1":
        return None
    return Launched(*(int(os.environ[name]) for name in STARTED[:4]))


def follows() -> bool:
    """Whether another process of torchrun's speaks for this one."""
    found = launched()
    return found is not None and found.rank > 0
