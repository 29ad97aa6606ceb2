"""A run's log while it trains: a JSON line per epoch, and TensorBoard if requested."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from auglik.objectives import InputError
from auglik.system.files import append_line, atomic_write, json_text

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

METRICS_FILE = "metrics.jsonl"


class Log:
    """Appends to metrics.jsonl in `folder`, after its first `epochs` lines; what a killed run wrote later is dropped.

    Without `writes` it does nothing. Raises InputError if TensorBoard is requested but not installed.
    """

    def __init__(self, folder: Path, epochs: int, tensorboard: bool, writes: bool = True) -> None:
        self._path, self._writes = folder / METRICS_FILE, writes
        self._writer: SummaryWriter | None = None
        if not writes:
            return
        kept = self._path.read_text().splitlines(keepends=True)[:epochs] if self._path.exists() else []
        atomic_write(self._path, lambda file: file.writelines(line.encode() for line in kept))
        self._writer = _writer(folder / "tensorboard", epochs) if tensorboard else None

    def write(self, line: Mapping[str, float]) -> None:
        if not self._writes:
            return
        append_line(self._path, json_text(dict(line)))
        if self._writer is not None:
            for name, value in line.items():
                self._writer.add_scalar(name, value, int(line["epoch"]))

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()


def share_of_epochs(folder: Path, epochs: int) -> float:
    """The share of its epochs that a run has ended, by its metrics.jsonl."""
    try:
        return min(1.0, (folder / METRICS_FILE).read_bytes().count(b"\n") / epochs)
    except OSError:
        return 0.0


def _writer(folder: Path, epochs: int) -> "SummaryWriter":
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs TensorBoard: pip install 'auglik[tensorboard]'") from None
    return SummaryWriter(str(folder), purge_step=epochs + 1)
