"""Corruptions made by imagecorruptions-imaug, for data sets without a published -C set, and the folder that keeps them.

Their constants are ImageNet-C's, so they are stronger on small images than the published CIFAR-10-C; but
elastic_transform has the library's own, and no affine step. Others are made in other ways than the published ones
(Hendrycks and Dietterich 2019): motion_blur and snow smear by shifted copies, not by ImageMagick; frost has six
pictures, enlarged by a tenth, not five; fog has a map as large as the image, not 256 x 256; and no image was a JPEG
file. The folder's name, `<data set>-c-auglik-<digest>`, is that of no published set.
"""

import contextlib
import functools
import hashlib
import importlib
import io
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auglik.data import Arrays, digest
from auglik.data.source import one_line
from auglik.objectives import InputError
from auglik.robustness.protocol import SEVERITIES
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.system.files import atomic_write, ensure_writable, write_json
from auglik.system.keys import host_generator
from auglik.system.progress import Progress, part_of

LIBRARY = "imagecorruptions"
MANIFEST = "manifest.json"
LEAST_SIDE = 32
"""The library's least image side in pixels."""
LEAST_PIXELS = 4
"""Of an image's own side: pixelate keeps a quarter of them."""
ANY_SIDE = ("pixelate", "jpeg_compression")
"""Act on the image's own pixels: repeated ones would survive them."""
PICTURES = 6
"""Of frost, in the library."""
SEEDED = ("impulse_noise", "glass_blur")
"""Draw from a separate generator, which needs a seed."""


def made_set(
    name: str, test: Arrays, positions: NDArray[np.int64], data_dir: Path, seed: int, progress: Progress
) -> Path:
    """The folder with the test images under all 15 corruptions at severities 1 to 5, in the layout of CIFAR-10-C.

    `positions` [N] are the images' in the whole test set; an image looks the same in any choice that it is in.
    It is made if missing, corruption by corruption, each file whole or absent; manifest.json holds what it
    was made of and the files' SHA-256. Raises InputError for images that are too small, if the library is missing, or a
    file has changed.
    """
    if min(test.images.shape[2:]) < LEAST_PIXELS:
        H, W = test.images.shape[2:]
        raise InputError(f"corruptions: expected images of {LEAST_PIXELS} pixels a side or more, got {H}x{W}, of which"
                         " pixelate leaves none; use --corruptions none")  # fmt: skip
    identity: dict[str, object] = {"test_digest": digest(test), "seed": seed, "rule": 1}
    if (positions != np.arange(len(positions))).any():
        identity["places"] = hashlib.sha256(positions.tobytes()).hexdigest()
    mark = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
    folder = data_dir / f"{Path(name).stem}-c-auglik-{mark}"
    made = _checked(folder, identity)
    missing = [corruption for corruption in CORRUPTIONS if f"{corruption}.npy" not in made]
    if not missing:
        return folder
    check_library()
    ensure_writable(folder)
    _save(folder, "labels.npy", np.tile(test.labels, len(SEVERITIES)), made)
    for index, corruption in enumerate(missing):
        images = corrupted_images(test.images, positions, corruption, seed, part_of(progress, index, len(missing)))
        _save(folder, f"{corruption}.npy", images, made)
        facts = {"made_by": f"imagecorruptions-imaug {version('imagecorruptions-imaug')}", "data_set": name}
        write_json(folder / MANIFEST, {**identity, **facts, "files": made})
    return folder


def corrupted_images(
    images: NDArray[np.uint8],
    positions: NDArray[np.int64],
    corruption: str,
    seed: int,
    progress: Progress = lambda share: None,
) -> NDArray[np.uint8]:
    """Images [N,c,H,W] at severities 1 to 5 in turn: [5N,H,W,c]. An image's draw is keyed by its
    position, of `positions` [N]."""
    levels = images.transpose(0, 2, 3, 1)
    found = np.empty((len(SEVERITIES), *levels.shape), np.uint8)
    with contextlib.redirect_stdout(io.StringIO()), _pictures_read_once():  # the library prints what it makes do with
        for position, severity in enumerate(SEVERITIES):
            for index, (image, at) in enumerate(zip(levels, positions.tolist(), strict=True)):
                generator = host_generator(seed, "corruption", corruption, severity, at)
                found[position, index] = corrupted(image, corruption, severity, generator)
                progress((position * len(levels) + index + 1) / (len(SEVERITIES) * len(levels)))
    return found.reshape(-1, *levels.shape[1:])


def corrupted(
    image: NDArray[np.uint8], corruption: str, severity: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """An image [H,W,c], c = 1 or 3, under one corruption.

    Sides below 32 pixels: every pixel is repeated f times along both, f the least integer that makes the shorter side
    32 or more, and of each block of f x f corrupted pixels the central one comes back, so that noise keeps its
    strength; pixelate and JPEG compression take the image as it is. One channel: it goes in as three equal ones and
    the second comes back.
    """
    H, W, c = image.shape
    factor = 1 if corruption in ANY_SIDE else -(-LEAST_SIDE // min(H, W))
    enlarged = np.repeat(image, factor, 0).repeat(factor, 1).repeat(4 - c if c == 1 else 1, 2)
    seed = int(generator.integers(2**32))
    with _global_state(seed):
        found = _apply(np.ascontiguousarray(enlarged), corruption, severity, seed)
    found = found[factor // 2 :: factor, factor // 2 :: factor]
    return found[..., 1:2] if c == 1 else found


def check_library() -> None:
    """Raises InputError if imagecorruptions-imaug cannot be imported."""
    try:
        importlib.import_module(LIBRARY)
    except ImportError as error:
        raise InputError(
            f"making corruptions needs imagecorruptions-imaug ({one_line(error)}): pip install 'auglik[corruptions]',"
            " or give a folder with --corruptions, or --corruptions none"
        ) from None


def _apply(image: NDArray[np.uint8], corruption: str, severity: int, seed: int) -> NDArray[np.uint8]:
    library = importlib.import_module(LIBRARY)  # here, as it takes a second and only making a set needs it
    if corruption in ANY_SIDE:
        return np.array(getattr(library, corruption)(Image.fromarray(image), severity), np.uint8)
    extra = {"seed": seed} if corruption in SEEDED else {}
    return library.corrupt(image, severity, corruption, **extra)


@contextlib.contextmanager
def _pictures_read_once() -> Iterator[None]:
    """The library reads a picture of frost for every image: five sixths of its time on small ones."""
    cv2: Any = importlib.import_module("cv2")
    read = cv2.imread
    cv2.imread = functools.lru_cache(PICTURES)(read)
    try:
        yield
    finally:
        cv2.imread = read


@contextlib.contextmanager
def _global_state(seed: int) -> Iterator[None]:
    """NumPy's global generator seeded, as the library draws from it, and afterwards as it was."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _checked(folder: Path, identity: dict[str, object]) -> dict[str, str]:
    """The checksums of the files that are there and whole. Raises InputError for one that has changed."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files = dict(manifest["files"])
        known = {key: manifest[key] for key in identity}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a manifest ({type(error).__name__}); delete {folder} to make it") from None
    if known != identity:
        raise InputError(
            f"{folder}: expected corruptions of these test images, got those of others; delete it to remake them"
        )
    for name, checksum in files.items():
        found = _sha256(folder / name) if (folder / name).is_file() else "no such file"
        if found != checksum:
            raise InputError(
                f"{folder / name}: expected SHA-256 {checksum[:12]}..., got {found[:12]}: changed since it was made;"
                f" delete {folder} to remake it"
            )
    return files


def _save(folder: Path, name: str, array: NDArray[np.generic], made: dict[str, str]) -> None:
    atomic_write(folder / name, lambda file: np.save(file, array))
    made[name] = _sha256(folder / name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
