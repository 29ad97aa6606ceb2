"""Images of a program, kept as a `.npz` file, so that all runs, and anyone who repeats them, read the same."""

import hashlib
import operator
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from auglik.data import Npz, digest
from auglik.data.arrays import Arrays, check_arrays, image_shape
from auglik.data.levels import WHITE, no_white, white_beside
from auglik.data.source import one_line
from auglik.data.stored import CLASS_NAMES
from auglik.objectives import InputError
from auglik.system.files import ensure_writable, write_npz

DATA_FOLDER = "data"
DATA_PARTS = ("train", "test")
READ_AGAIN = 32
"""Images of a data set, at most, that are read twice: a flip of half of them is overlooked once in 2^32."""


MIXED = "got grey and RGB images: convert them to one"


@runtime_checkable
class MapDataset(Protocol):
    """A map-style `torch.utils.data.Dataset`: (image, class number) by index.

    Images are uint8 tensors or arrays, floats in [0,1], or PIL images in L or RGB; without random transforms.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> tuple[ArrayLike, int]: ...


PartImages = tuple[ArrayLike, ArrayLike] | MapDataset
"""Images [N,H,W], [N,H,W,c] or [N,c,H,W] and labels [N]; or a data set of them."""
Images = Mapping[str, ArrayLike] | Sequence[PartImages]
"""train_images, train_labels, test_images, test_labels and optionally class_names [C]; or the two parts."""


def keep_images(images: Images, output: Path) -> str:
    """The path, below `output`, of the `.npz` file that holds them, named by its content; white is said of dark images.

    Raises InputError for anything but `Images`, for images that are not images, and for a data set that gives
    different images for the same index.
    """
    arrays = _by_name(images)
    levels = [_array(arrays[f"{part}_images"]) for part in DATA_PARTS]
    checked = {
        part: check_arrays(
            images, _array(arrays[f"{part}_labels"]), where=(where := f"dataset, {part} images"),
            white=white_beside(images, lambda: levels[0], where),
        )
        for part, images in zip(DATA_PARTS, levels, strict=True)
    }  # fmt: skip
    names = np.asarray(arrays[CLASS_NAMES], dtype=np.str_) if CLASS_NAMES in arrays else None
    marks = [digest(checked[part])[:8] for part in DATA_PARTS]
    if names is not None:
        marks.append(hashlib.sha256("\n".join(names.tolist()).encode()).hexdigest()[:8])
    path = output / DATA_FOLDER / f"{'-'.join(marks)}.npz"
    if not path.exists():
        ensure_writable(path.parent)
        write_npz(path, **_stored(checked, names))
    return f"{path}:white={WHITE}" if no_white(checked[DATA_PARTS[0]].images) else str(path)


def _class_names(part: object) -> list[str]:
    """The names in a data set's `classes`, by number; none where a count or a mapping stands there."""
    classes = getattr(part, "classes", None)
    if isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes):
        return [*classes]
    return []


def _stored(parts: Mapping[str, Arrays], names: NDArray[np.str_] | None) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {}
    for part, arrays in parts.items():
        found |= {f"{part}_images": arrays.images, f"{part}_labels": arrays.labels}
    return found if names is None else found | {CLASS_NAMES: names}


def _by_name(images: Images) -> Mapping[str, ArrayLike]:
    if isinstance(images, Mapping):
        missing = [name for name in Npz.entries if name not in images]
        unknown = [name for name in images if name not in (*Npz.entries, CLASS_NAMES)]
        if missing or unknown:
            got = f"no {missing[0]}" if missing else f"{unknown[0]!r} too"
            raise InputError(f"dataset: expected {', '.join(Npz.entries)} (and class_names), got {got}")
        return images
    if not isinstance(images, list | tuple) or len(images) != len(DATA_PARTS):
        raise InputError(
            "dataset: expected a name, a path, a mapping of arrays, or the training and the test part, got"
            f" {type(images).__name__}"
        )
    found: dict[str, ArrayLike] = {}
    for name, part in zip(DATA_PARTS, images, strict=True):
        columns = part if isinstance(part, tuple) and len(part) == 2 else _read(part, name)
        found |= dict(zip((f"{name}_images", f"{name}_labels"), columns, strict=True))
    names = [of_part for part in images if (of_part := _class_names(part))]
    if len(names) == len(DATA_PARTS) and names[0] != names[1]:
        raise InputError(
            f"dataset: expected both parts to number the same classes, got {', '.join(names[0])[:60]} for training and"
            f" {', '.join(names[1])[:60]} for test: labels would mean different classes"
        )
    return found | {CLASS_NAMES: names[0]} if names else found


def _read(part: object, name: str) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """All of a data set. Raises InputError as `keep_images` does."""
    if not isinstance(part, MapDataset) or len(part) == 0:
        raise InputError(f"dataset, {name}: expected (images, labels) or a data set with images, got {part!r:.60}")
    try:
        pairs = [(image, operator.index(label)) for image, label in (part[place] for place in range(len(part)))]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"dataset, {name}: expected pairs of an image and a class number ({one_line(error)})"
        ) from None
    images = [_array(image) for image, _ in pairs]
    _check_shapes({image.shape for image in images}, f"dataset, {name}")
    again = range(0, len(part), -(-len(part) // READ_AGAIN))
    if not all(np.array_equal(_array(part[place][0]), images[place], equal_nan=True) for place in again):
        raise InputError(
            f"dataset, {name}: expected images without random transforms, got a different one the second time"
        )
    return np.stack(images), np.array([label for _, label in pairs])


def _check_shapes(shapes: set[tuple[int, ...]], where: str) -> None:
    """Raises InputError for images that cannot be stacked."""
    if len(shapes) == 1:
        return
    found = {image_shape((1, *shape), where)[1:] for shape in shapes}
    if len({shape[1:] for shape in found}) > 1:
        raise InputError(f"{where}: expected images of one size, got several: resize them first")
    if len(found) > 1:
        raise InputError(f"{where}: expected images of one kind, {MIXED}")
    raise InputError(f"{where}: expected images of one shape, got {' and '.join(map(str, sorted(shapes)))}")


def _array(values: ArrayLike) -> NDArray[np.generic]:
    """Raises InputError for PIL images whose numbers are no grey or RGB levels, and what NumPy cannot read."""
    if isinstance(values, Sequence) and not isinstance(values, str | bytes | memoryview):
        values = list(values)  # a column may decode its images whenever they are read
    modes = {*_modes(values)}
    if other := sorted(modes - {"L", "RGB"}):
        raise InputError(f"dataset: expected PIL images in L or RGB, got {other[0]}: convert them, e.g. to RGB")
    if len(modes) > 1:
        raise InputError(f"dataset: expected PIL images of one kind, {MIXED}")
    try:
        return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"dataset: expected arrays or tensors of numbers ({one_line(error)})") from None


def _modes(values: object, depth: int = 2) -> Iterator[str]:
    """Of PIL images, in lists too, which NumPy stacks."""
    mode = getattr(values, "mode", None)
    if isinstance(mode, str) and not isinstance(values, np.memmap):  # whose mode is how its file is open
        yield mode
    elif depth and isinstance(values, list | tuple):
        for item in values:
            yield from _modes(item, depth - 1)
