"""Checkpoints: written whole, read without pickle, refused where they belong to something else."""

import pickle
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from auglik.objectives import InputError
from auglik.system.files import atomic_write

NAME = "checkpoint.pt"
CHECKPOINT_FORMAT = 3
SECONDS = 10.0
"""Least time between two checkpoints; fifty times what writing one takes, where that is more."""


class Checkpoint(NamedTuple):
    """Everything that a run carries from one step to the next; all randomness is keyed, so none is carried."""

    settings: str
    """Hash of the run's settings and data."""
    step: int
    network: dict[str, Tensor]
    optimizer: dict[str, object]
    meters: Tensor
    """Running sums of the epoch under way."""
    digests: list[str]
    """Chained digests of the draws so far: of the batches, then of each view."""
    last_epoch: dict[str, float]
    """The last line of metrics.jsonl."""
    mean: list[float]
    std: list[float]
    train_seconds: float
    threads: int
    online_labels: dict[str, Tensor]
    """What online label smoothing has learned; empty without it."""
    class_names: tuple[str, ...] = ()
    """Of the training images [C]; empty where they were not yet kept."""
    average: dict[str, Tensor] | None = None
    """The network at the average of its weights, where that is asked for."""

    def scored(self) -> dict[str, Tensor]:
        """The state dict of the network that a run ends with: at the averaged weights, where they are kept."""
        return self.average or self.network


class Keeper:
    """Writes the checkpoints of a run into its folder, seldom enough that writing takes little of its time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.saved, self.took = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether the last checkpoint is old enough for another."""
        return time.monotonic() - self.saved > max(SECONDS, 50 * self.took)

    def save(self, checkpoint: Checkpoint) -> None:
        """As `save` does."""
        began = time.monotonic()
        save(self.path, checkpoint)
        self.saved = time.monotonic()
        self.took = self.saved - began


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Raises InputError where the system refuses; the old checkpoint then stays."""
    payload = {"format": CHECKPOINT_FORMAT, **checkpoint._asdict()}
    atomic_write(path, lambda file: torch.save(payload, file))


def find(folder: Path, settings: str) -> Checkpoint | None:
    """The checkpoint in a run's folder, if any. Raises InputError as `load` does."""
    path = folder / NAME
    return load(path, settings) if path.exists() else None


def load(path: Path, settings: str) -> Checkpoint:
    """Its tensors on the CPU. Raises InputError for a damaged file, another format, or one of other settings."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch reads past a wrong checksum
            if (entry := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"the checksum of {entry} is wrong")
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"no checkpoint at {path}: expected a run that was interrupted or has ended") from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"the checkpoint {path} is damaged or no checkpoint of auglik: {reason}") from None
    if not isinstance(payload, dict) or "format" not in payload:
        raise InputError(f"{path} is no checkpoint of auglik")
    if payload["format"] != CHECKPOINT_FORMAT:
        raise InputError(
            f"{path}: expected checkpoint format {CHECKPOINT_FORMAT}, got {payload['format']}: another version wrote it"
        )
    missing = set(Checkpoint._fields) - set(payload) - set(Checkpoint._field_defaults)
    if missing:
        raise InputError(f"the checkpoint {path} is damaged: it lacks {', '.join(sorted(missing))}")
    if payload["settings"] != settings:
        raise InputError(f"{path} is the checkpoint of other settings or other data; give the run another --output")
    return Checkpoint(**{name: payload[name] for name in Checkpoint._fields if name in payload})
