"""Standard streams that nobody reads any more."""

import os
import sys
from typing import TextIO


def to_nowhere(stream: TextIO) -> None:
    """What `stream` holds, and what is written to it from now on, is told to nobody."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def leave_closed_terminal() -> None:
    """What is told to a terminal that was closed is told to nobody from now on: to write to it is an error."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None or stream.closed:
            continue
        try:
            os.write(stream.fileno(), b"")
        except OSError:
            to_nowhere(stream)
