"""What a run may do on CUDA: it waits for the device where it is declared to, and nowhere else in a loop over batches.

On a machine with a GPU the same rule is held against torch's own warnings of waits.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tests.cuda.pretended import Record, Wait, pretended_cuda

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="the pretended device is for machines without a GPU")
"""Of tests of what is pretended alone."""
LOOPS = {"train", "pretrain", "look_at_views", "clean_log_probabilities", "features_of", "predicted", "_chunks"}
"""Functions that go over batches, the last ahead of the loop in a thread of its own."""
LOOKS = {
    "begin", "make_model", "Loop.__init__", "Average.__init__", "Adapted.__init__",  # before the first step
    "OnlineLabels.begin", "OnlineLabels.restore", "OnlineConfusions.restore", "Adapted.restore", "Chain.restore",
    "Loop.bad_step", "Loop.mean", "Loop.save", "label_statistics", "validation_scores",
    "OnlineConfusions.end_epoch", "Adapted.advance", "Adapted.state", "Average.measure", "Chain.after",
    "Chain.measured",
}  # fmt: skip
"""Functions of theirs that may wait: before the first step, every so many, once an epoch, for each draw of a chain."""


def undeclared(record: Record) -> list[str]:
    """The waits within a loop and without a look, one a line."""
    return sorted(f"{wait.kind}, {wait.line}, {count} times" for wait, count in record.waits.items() if in_loop(wait))


def in_loop(wait: Wait) -> bool:
    for function in wait.functions:
        if function in LOOKS:
            return False
        if function in LOOPS:
            return True
    return False


@contextmanager
def cuda(**pretended: int) -> Iterator[Record]:
    """The GPU of this machine, watched by torch, or else a pretended one; counts of launches are of the latter alone.

    Not by `set_sync_debug_mode("error")`, which would end a run at its first declared look: the warning is judged by
    the functions that are under way.
    """
    if not torch.cuda.is_available():
        with pretended_cuda(**pretended) as record:
            yield record
        return
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
