"""What a run may do on CUDA: it waits for the device where and when it is declared to, and nowhere else in a loop.

On a machine with a GPU the same rule is held against torch's own warnings of waits.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

import pytest
import torch

from auglik.runs.checkpoint import Keeper
from auglik.runs.loop import INTERVAL
from tests.cuda.pretended import Record, Wait, pretended_cuda
from tests.cuda.sites import BEFORE, READ, Position

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="the pretended device is for machines without a GPU")
"""Of tests of what is pretended alone."""


class Look(NamedTuple):
    """When a function within a loop may wait, and how often at one of its steps."""

    due: Callable[[Position], bool]
    most: float = float("inf")


def at_look(now: Position) -> bool:
    """Every INTERVAL steps, at checkpoints, and before a pass whose views follow those of the last."""
    return now.done % now.per_epoch % INTERVAL == 0 or saving(now) or of_pass(now)


def of_epoch(now: Position) -> bool:
    return now.done % now.per_epoch == 0


def of_pass(now: Position) -> bool:
    return now.step % now.per_pass == 0


def saving(now: Position) -> bool:
    """As the run ends or is stopped: checkpoints by the clock are left out while it is watched."""
    return now.done == now.steps or now.stopping


def drawing(now: Position) -> bool:
    return now.done in now.draws


def always(now: Position) -> bool:
    return True


OF_TRAINING = {
    "Loop.bad_step": Look(at_look, 2),  # of a checkpoint's step too
    "Loop.mean": Look(of_epoch, 3),
    "label_statistics": Look(of_epoch, 2),
    "validation_scores": Look(of_epoch, 2),
    "OnlineConfusions.end_epoch": Look(of_epoch, 4),
    "Average.measure": Look(of_epoch),
    "Adapted.advance": Look(of_pass, 3),
    "Adapted.state": Look(saving, 3),
    "Loop.save": Look(saving),
    "Chain.after": Look(drawing),
    "Chain.measured": Look(saving, 1),
}  # fmt: skip
LOOPS: Mapping[str, Mapping[str, Look]] = {
    "train": OF_TRAINING,
    "pretrain": OF_TRAINING,
    "_of_draws": {"host": Look(always, 1)},  # of each batch
    "prior_predictive": {"host": Look(always, 1), "_factor": Look(always, 1)},  # of each network
    "measure.<locals>.rendered": {}, "_right": {}, "look_at_views": {}, "clean_log_probabilities": {},
    "features_of": {}, "predicted": {},
    "_chunks": {}, "StreamedPixels._read": {},
}  # fmt: skip
"""Functions that go over batches, the last two ahead of the loop in threads of their own, and what may wait in each."""


def undeclared(record: Record) -> list[str]:
    """The waits within a loop that are no look, not at its time, or beyond what it takes, and lost layouts."""
    found = [f"a convolution of images that are not channels last, {line}" for line in record.layouts]
    at_looks: Counter[tuple[str, Position]] = Counter()
    for wait, count in record.waits.items():
        said = f"{wait.kind}, {wait.line}, {count} times"
        name, look = look_of(wait)
        if look is None and name:
            found.append(said)
        elif look is not None and wait.position is not None:
            at_looks[name, wait.position] += count
            if not look.due(wait.position):
                found.append(f"{said}, by {name} at step {wait.position.step}")
            elif at_looks[name, wait.position] > look.most:
                found.append(f"{said}, beyond the {look.most} of {name} at step {wait.position.step}")
    return sorted(found)


def look_of(wait: Wait) -> tuple[str, Look | None]:
    """The look that a wait is of, or else the loop; neither outside of loops and before their first step."""
    for place, function in enumerate(wait.functions):
        if function in LOOPS:
            if wait.position is not None and function in READ and wait.position.step == BEFORE:
                break
            looks = [name for name in wait.functions[:place] if name in LOOPS[function]]
            return (looks[-1], LOOPS[function][looks[-1]]) if looks else (function, None)
    return "", None


@contextmanager
def cuda(**pretended: int) -> Iterator[Record]:
    """The GPU of this machine, watched by torch, or else a pretended one; counts of launches are of the latter alone.

    Not by `set_sync_debug_mode("error")`, which would end a run at its first declared look: the warning is judged by
    the functions that are under way.
    """
    watched = watched_cuda() if torch.cuda.is_available() else pretended_cuda(**pretended)
    with mock.patch.object(Keeper, "due", return_value=False), watched as record:
        yield record


@contextmanager
def watched_cuda() -> Iterator[Record]:
    """The GPU of this machine."""
    record = Record()
    shown = warnings.showwarning

    def note(message: Warning | str, *args: object, **named: object) -> None:
        if "synchronizing CUDA operation" in str(message):
            record.wait("synchronizing operation")
        else:
            shown(message, *args, **named)  # type: ignore[arg-type]

    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=".*synchronizing CUDA operation.*")
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield record
        finally:
            torch.cuda.set_sync_debug_mode("default")
