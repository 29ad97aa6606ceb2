"""Where in the project something happened: its line, the functions under way, and the step of the loop around them."""

import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = str(Path(__file__).parents[2])
TESTS = str(Path(__file__).parents[1])


class Position(NamedTuple):
    """Where a loop is: of training by its own `loop` and `step`, of others by the first image of their `batch`."""

    run: str
    step: int | None
    """None before the first."""
    steps: int
    per_epoch: int
    per_pass: int
    stopping: bool
    draws: frozenset[int]
    """The steps after which a chain keeps its weights."""

    @property
    def done(self) -> int:
        return -1 if self.step is None else self.step + 1


class Site(NamedTuple):
    """The innermost line of the project, its functions from the innermost out, and where the innermost loop is."""

    line: str
    functions: tuple[str, ...]
    position: Position | None


def site() -> Site:
    frame: types.FrameType | None = sys._getframe(1)
    line, functions, position = "outside of the project", list[str](), None
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(ROOT) and not file.startswith(TESTS):
            if not functions:
                line = f"{Path(file).relative_to(ROOT)}:{frame.f_lineno}"
            functions.append(name := frame.f_code.co_qualname)
            if position is None and name in READ:
                position = READ[name](frame.f_locals)
        frame = frame.f_back
    return Site(line, tuple(functions), position)


def of_training(names: Mapping[str, Any]) -> Position:
    loop, chain, run = names.get("loop"), names.get("chain"), str(names["folder"])
    if loop is None or "step" not in names:
        return Position(run, None, 0, 1, 1, False, frozenset())
    lengths = loop.lengths
    draws = frozenset(chain._draw_at) if chain is not None else frozenset[int]()
    return Position(
        f"{run} from {loop.first_step}", names["step"], lengths.steps, lengths.steps_per_epoch, lengths.steps_per_pass,
        loop._stopping, draws,
    )  # fmt: skip


def of_batches(names: Mapping[str, Any]) -> Position:
    batch, run = names.get("batch"), str(id(names.get("batches")))
    return Position(run, None if batch is None else int(batch[0]), 0, 1, 1, False, frozenset())


READ = {"train": of_training, "pretrain": of_training, "_of_draws": of_batches}
