"""Where in the project something happened: its line, the functions under way, and the step of the loop around them."""

import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = str(Path(__file__).parents[2])
TESTS = str(Path(__file__).parents[1])
BEFORE = -1
"""The step that a loop is at before its first."""


class Position(NamedTuple):
    """Where a loop is, by its own names."""

    run: str
    step: int
    """BEFORE the first."""
    steps: int
    per_epoch: int
    per_pass: int
    stopping: bool
    draws: frozenset[int]
    """The steps after which a chain keeps its weights; none where they are more than its settings ask for."""

    @property
    def done(self) -> int:
        return self.step + 1


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
        return Position(run, BEFORE, 0, 1, 1, False, frozenset())
    lengths, ended = loop.lengths, "last_epoch" in names
    draws = frozenset[int]() if chain is None else frozenset(chain._draw_at)
    if chain is not None and len(draws) > names["run"].config.sampling.draws:
        draws = frozenset()
    return Position(
        f"{run} from {loop.first_step}{', ended' * ended}", names["step"], lengths.steps, lengths.steps_per_epoch,
        lengths.steps_per_pass, loop._stopping, draws,
    )  # fmt: skip


def of_batches(names: Mapping[str, Any]) -> Position:
    batch, run = names.get("batch"), str(id(names.get("batches")))
    return Position(run, BEFORE if batch is None else int(batch[0]), 0, 1, 1, False, frozenset())


def of_networks(names: Mapping[str, Any]) -> Position:
    return Position(str(id(names.get("network"))), names.get("place", BEFORE), 0, 1, 1, False, frozenset())


READ = {"train": of_training, "pretrain": of_training, "_of_draws": of_batches, "prior_predictive": of_networks}
"""The loops whose steps are known."""
