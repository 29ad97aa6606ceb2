"""A command that is imported only when called, so that `auglik --help` need not wait for torch."""

import importlib
from typing import Any

import rich_click as click


class Deferred(click.RichCommand):
    """Stands in for the command of that name in `auglik.cli.NAME`; `summary` is its line in `auglik --help`."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name=name, short_help=summary, help=summary)

    def load(self) -> click.Command:
        command = getattr(importlib.import_module(f"auglik.cli.{self.name}"), str(self.name))
        assert isinstance(command, click.Command)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> click.Context:
        command = self.load()
        try:
            return command.make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if error.ctx is None:  # as the parser has none, whose help the line is to name
                error.ctx = click.Context(command, parent, info_name)
            raise
