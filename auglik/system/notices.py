"""What a person should know of a file or a data set that can nevertheless be used: a line of the log, once."""

import logging
from functools import cache
from multiprocessing import parent_process

LOG = logging.getLogger("auglik")


@cache
def say_once(line: str) -> None:
    """Logs a warning, unless this process has said it before or is one of several runs' own: the plan has said it."""
    if parent_process() is None:
        LOG.warning(line)
