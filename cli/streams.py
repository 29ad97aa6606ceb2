"""Standard output and error when the reader leaves, as in `auglik ... | head`, or the disk is full."""

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO, cast

import click

from auglik.system.streams import to_nowhere

READER_LEFT = 128 + 13
"""The exit status that shells give to a program ended by SIGPIPE."""
NOBODY_READS = (errno.EPIPE, errno.EIO)
"""Errors of a pipe whose reader has left, and of a terminal that was closed."""


def open_streams() -> None:
    """From now on what is told on a standard stream that the shell has closed is told to nobody."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives


def closed(status: int) -> int:
    """`status` once all output is flushed; READER_LEFT if nobody reads it, 2 and a line if it cannot be written.

    The rest is discarded, so that the interpreter does not complain on exit.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            to_nowhere(stream)
            status = READER_LEFT
        except OSError as error:
            to_nowhere(stream)
            if status == 0:
                status = 2
                click.echo(f"auglik: cannot write its output: {error.strerror or error}", err=True)
    return status


@contextmanager
def whoever_reads() -> Iterator[None]:
    """Inside, work continues after the reader of its output has left: its results are files."""
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(cast(TextIO, _Unread(sys.stdout))))
        stack.enter_context(redirect_stderr(cast(TextIO, _Unread(sys.stderr))))
        yield


class _Unread:
    """A stream that drops what nobody reads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            if error.errno not in NOBODY_READS:
                raise
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            if error.errno not in NOBODY_READS:
                raise
            to_nowhere(self._stream)


def one_line_warnings() -> None:
    """From now on every warning is one line, without the code that raised it."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        click.echo(f"auglik: warning: {' '.join(str(message).split())}", err=True)

    warnings.showwarning = show
