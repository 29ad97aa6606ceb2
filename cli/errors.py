"""Errors as users see them: one line on standard error and exit status 2, no traceback."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from auglik.cli.streams import READER_LEFT
from auglik.objectives import InputError

P = ParamSpec("P")
R = TypeVar("R")


LONGEST = 800
"""Characters of the longest readable line: a quoted value may have any length."""


class UserError(click.ClickException):
    """One line, exit status 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        text = " ".join(self.format_message().split())
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"
        click.echo(f"auglik: {text}", err=True)


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turns InputError and OSError into a UserError; a closed pipe ends the command silently."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except InputError as error:
            raise UserError(str(error)) from None
        except BrokenPipeError:
            raise SystemExit(READER_LEFT) from None
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise UserError(f"system error: {error.strerror or error}{where}") from None

    return wrapped
