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
        given = list(args)  # which the parser empties
        try:
            context = command.make_context(info_name, args, parent, **extra)
            if not context.resilient_parsing:
                check_given_once(command, given, context)
            return context
        except click.UsageError as error:
            if error.ctx is None:  # as the parser has none, whose help the line is to name
                error.ctx = click.Context(command, parent, info_name)
            raise


def check_given_once(command: click.Command, arguments: list[str], context: click.Context) -> None:
    """Raises UsageError for an option of one value that is given twice: click takes the last without a word."""
    _, _, order = command.make_parser(context).parse_args(arguments)
    for option in order:
        if isinstance(option, click.Option) and not option.multiple and (times := order.count(option)) > 1:
            names = "/".join([*option.opts, *option.secondary_opts])
            raise click.UsageError(f"{names}: expected it once, got it {times} times{_cure(option)}", context)


def _cure(option: click.Option) -> str:
    compared = Deferred("compare", "").load().params
    several = any(one.name == option.name and isinstance(one, click.Option) and one.multiple for one in compared)
    return "; auglik compare takes several values of it" if several else ""
