"""Whether what a run reads when its turn comes is what it was planned with: its code, training images and tables."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from auglik.data import Arrays, LazyArrays, Source, Stamp, digest, opened, stamp_of
from auglik.data.source import LargeSource
from auglik.objectives import InputError
from auglik.runs.own_code import code_digests, own_code
from auglik.runs.settings import RunConfig, flatten


class Known(NamedTuple):
    """The digest of a data set's training images, and the stamp of its files when they were read."""

    digest: str
    stamp: Stamp


def planned_images(source: Source, hash_of: Callable[[str], str], settings: str) -> tuple[Arrays | LazyArrays, Known]:
    """The training images, where `hash_of` their digest is the planned `settings`. Raises InputError where it is not.

    Arrays are read once: what is hashed is what is trained on. Images that are decoded on demand are known by files.
    """
    stamp, arrays = stamp_of(source), opened(source, "train")
    known = Known(digest(arrays), stamp)
    if hash_of(known.digest) != settings:
        raise InputError(
            f"{source.name}: the training images or tables have changed since the run was planned: run the command"
            " again"
        )
    return arrays, known


def check_same_images(source: Source, known: Known) -> None:
    """Raises InputError where a set's files have been written since, and its training images are others now.

    Sets of .npz and .npy files say when they were written; of image files, names and sizes are read again.
    """
    looks_alike = stamp_of(source) == known.stamp and (known.stamp or not isinstance(source, LargeSource))
    if not looks_alike and digest(opened(source, "train")) != known.digest:
        raise InputError(
            f"{source.name}: expected the data set that the run was trained on, got other training images: put it back"
            " and run the command again, which scores the run"
        )


def planned_code(config: RunConfig, planned: Mapping[str, str] | None) -> Mapping[str, str]:
    """The digests of the user's own code. Raises InputError if it was edited since."""
    own = code_digests(own_code(flatten(config)))
    if planned is not None and own != planned:
        edited = ", ".join(name for name in own if own[name] != planned.get(name))
        raise InputError(f"{edited}: the code has been edited since the run was planned: restart")
    return own
