"""What becomes of a command whose reader leaves, or whose standard output cannot be written."""

import os
import shlex
import signal
import subprocess
import sys
import time
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import click
import pytest

from auglik.cli.interrupts import hear_dropped_interrupts
from auglik.cli.streams import READER_LEFT, one_line_warnings, whoever_reads
from tests.tiny import options


def without_a_reader(*arguments: str, stderr_too: bool = False) -> subprocess.CompletedProcess[bytes]:
    """The command with its standard output a pipe that nobody reads."""
    read, written = os.pipe()
    os.close(read)
    try:
        return subprocess.run(
            [sys.executable, "-m", "auglik", *arguments],
            stdout=written,
            stderr=written if stderr_too else subprocess.PIPE,
            check=False,
            timeout=300,
        )
    finally:
        os.close(written)


def test_a_reader_who_leaves_ends_a_command_in_silence() -> None:
    ended = without_a_reader("objectives")
    assert (ended.returncode, ended.stderr) == (READER_LEFT, b"")
    assert without_a_reader("compare", "--seeds", "0", stderr_too=True).returncode == READER_LEFT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "auglik", "objectives"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=300,
        )
    assert ended.returncode == 2
    assert ended.stderr.count(b"\n") == 1
    assert b"No space left" in ended.stderr


@pytest.mark.skipif(os.name != "posix", reason="the shell closes streams so on POSIX")
@pytest.mark.parametrize(
    ("command", "redirections"),
    [
        ("train", "2>&-"),
        ("compare --seeds 1 --likelihood smoothed --aggregator jensen", ">&-"),
        ("compare --seeds 2 --jobs 2 --likelihood smoothed --aggregator jensen --no-report", "<&- >&- 2>&-"),
    ],
)
def test_work_goes_on_where_streams_are_closed(tmp_path: Path, command: str, redirections: str) -> None:
    ended = subprocess.run(
        f"{sys.executable} -m auglik {command} {shlex.join(options(epochs=1))} --output {tmp_path} {redirections}",
        shell=True,
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert list(tmp_path.glob("*/seed-0/results.json"))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_work_goes_on_when_its_reader_has_left(monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as nobody:
        monkeypatch.setattr(sys, stream, nobody)
        with pytest.raises(BrokenPipeError):
            click.echo("x", err=stream == "stderr")
        with whoever_reads():
            for _ in range(3):
                click.echo("told to nobody", err=stream == "stderr")


def test_work_goes_on_when_its_terminal_is_closed() -> None:
    terminal, ours = os.openpty()
    os.close(terminal)
    with os.fdopen(ours, "w") as nobody:
        with pytest.raises(OSError, match="Input/output error"):
            print("x", file=nobody, flush=True)
        with redirect_stdout(nobody), whoever_reads():
            for _ in range(3):
                click.echo("told to nobody")


class Dropped:
    def __del__(self) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_that_python_drops_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # put back afterwards
    hear_dropped_interrupts()
    began = time.monotonic()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a script runs in the background
    try:
        Dropped()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(30)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 20


def test_a_warning_is_one_line_without_code(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # put back afterwards
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        one_line_warnings()
        warnings.warn("two\nlines", UserWarning, stacklevel=1)
    assert capfd.readouterr().err == "auglik: warning: two lines\n"
