"""Notices about a file or a data set that can be used anyway: each a line of the log, once."""

import logging
from functools import cache
from multiprocessing import parent_process

LOG = logging.getLogger("auglik")


@cache
def say_once(line: str) -> None:
    """Logs a warning once per process; processes of runs log none, since the plan already did."""
    if parent_process() is None:
        LOG.warning(line)
