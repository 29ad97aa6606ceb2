"""Paths on the command line."""

from os import PathLike
from pathlib import Path

import rich_click as click

from auglik.objectives import InputError


class NamedPath(click.Path):
    """A path that is given by a name: an empty one would be the working folder."""

    def convert(
        self, value: str | PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | PathLike[str]:
        if value == "":
            self.fail("expected a name, got an empty one", param, ctx)
        return super().convert(value, param, ctx)


PATH = NamedPath(path_type=Path)


def check_suffix(option: str, path: Path, suffix: str) -> None:
    """Raises InputError for a file of another kind than the one that is written, such as a table in its place."""
    if path.suffix.lower() != suffix:
        raise InputError(f"{option}: expected a {suffix} file, got {path}")
