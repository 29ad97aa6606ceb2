"""Checkpoints: written atomically, read without pickle, refused if they belong to another run."""

import pickle
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auglik.objectives import InputError
from auglik.sampling.chain import Drawn
from auglik.system.files import atomic_write

NAME = "checkpoint.pt"
CHECKPOINT_FORMAT = 3
SECONDS = 10.0
"""Least time between two checkpoints, or fifty times the time to write one if that is more."""


class Checkpoint(NamedTuple):
    """Everything that a run carries from step to step; randomness is keyed, so none is carried."""

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
    """What online label smoothing and online confusions have learned; empty without them."""
    class_names: tuple[str, ...] = ()
    """Of the training images [C]; empty in checkpoints from before they were stored."""
    average: dict[str, Tensor] | None = None
    """The network at the average of its weights, if requested."""
    temperatures: Tensor | None = None
    """Of a chain: kinetic and configurational, at every step [steps,2]."""
    adapted: dict[str, Tensor] | None = None
    """What views follow, where they follow earlier ones."""
    draws: dict[str, Tensor] | None = None
    """Of a chain: its draws so far, state dicts stacked [S,...]."""

    def scored(self) -> dict[str, Tensor]:
        """The state dict of the final network: at the averaged weights, if they are kept."""
        return self.average or self.network

    def load_into(self, network: nn.Module) -> nn.Module:
        """The network that was scored, from one of its architecture, which it takes over: a mixture if sampled."""
        network.load_state_dict(self.scored())
        return Drawn(network, self.draws) if self.draws else network


class Keeper:
    """Writes a run's checkpoints into its folder, seldom enough to cost little time."""

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
    """Raises InputError if it cannot be written; the old checkpoint then stays."""
    payload = {"format": CHECKPOINT_FORMAT, **checkpoint._asdict()}
    atomic_write(path, lambda file: torch.save(payload, file))


def find(folder: Path, settings: str) -> Checkpoint | None:
    """The checkpoint in a run's folder, if any. Raises InputError as `load` does."""
    path = folder / NAME
    return load(path, settings) if path.exists() else None


def step_of(folder: Path) -> int | None:
    """The steps that the checkpoint in a run's folder has behind it, if any. Raises InputError for a damaged one."""
    found = _field(folder, "step")
    return None if found is None else int(str(found))


def settings_of(folder: Path) -> str | None:
    """The hash of the run that it is of, if there is one. Raises InputError likewise."""
    found = _field(folder, "settings")
    return None if found is None else str(found)


def _field(folder: Path, name: str) -> object:
    """One field of the checkpoint in a folder, None without one; its tensors stay unread."""
    path = folder / NAME
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)[name]
    except FileNotFoundError:
        return None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise InputError(f"the checkpoint {path} is damaged: {' '.join(str(error).split())[:120]}") from None


def load(path: Path, settings: str) -> Checkpoint:
    """Its tensors are on the CPU. Raises InputError for a damaged file, another format, or one of other settings."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch reads past a wrong checksum
            if (entry := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"the checksum of {entry} is wrong")
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(
            f"no checkpoint at {path}: expected an interrupted or finished run (kept runs have no weights)"
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"the checkpoint {path} is damaged or not a checkpoint of auglik: {reason}") from None
    if not isinstance(payload, dict) or "format" not in payload:
        raise InputError(f"{path} is not a checkpoint of auglik")
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
