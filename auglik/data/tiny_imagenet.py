"""Tiny-ImageNet-200 in its published folder layout: 64x64 colour images, 500 for training and 50 for test per class."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

from auglik.data.arrays import Arrays, LazyArrays
from auglik.data.class_names import ClassNames, class_numbers
from auglik.data.decoded_cache import decoded_once, forget_damaged
from auglik.data.decoding import SUFFIXES, of_size
from auglik.data.image_files import Files, class_folders, labelled, list_files
from auglik.data.listing import named
from auglik.data.source import Part, Traits, one_line
from auglik.objectives.errors import InputError
from auglik.system.files import read_text

TINY_IMAGENET_FOLDER = "tiny-imagenet-200"
WNIDS = "wnids.txt"
ANNOTATIONS = "val_annotations.txt"
SIDE = 64
CLASSES = 200


@dataclass(frozen=True)
class TinyImagenet:
    """Its train and val images; val is the set that papers report on, as the labels of test are not published.

    Classes are numbered in the alphabetical order of their wnids, as the folders of Tiny-ImageNet-C are. Both parts are
    decoded once, into the folder `decoded`.
    """

    path: Path
    name: ClassVar[str] = "tiny-imagenet"
    traits: ClassVar[Traits] = Traits(flip=True, network="fast-resnet", epochs=10)

    @property
    def classes(self) -> int:
        return len(self._numbers) if named(self.path, WNIDS).is_file() else CLASSES

    @property
    def class_names(self) -> ClassNames:
        return tuple(self._numbers)

    def train(self) -> Arrays:
        return self.opened("train").loaded()

    def test(self) -> Arrays:
        return self.opened("test").loaded()

    def opened(self, part: Part) -> LazyArrays:
        """Levels of a memory map."""
        files = self._training if part == "train" else self._test
        decoded = files.decoded(partial(of_size, width=SIDE, height=SIDE), SIDE)
        return decoded_once(decoded, files.state(), self._cache(part))

    def test_files(self) -> list[str]:
        return self._test.stems()

    def check(self) -> None:
        _ = self._training, self._test
        forget_damaged(self._cache("train"))
        forget_damaged(self._cache("test"))

    def _cache(self, part: Part) -> Path:
        return self.path / "decoded" / f"{part}.npy"

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The class of each wnid."""
        if not self.path.is_dir():
            way = "give its parent folder as --data-dir (--download does not fetch it)"
            raise InputError(f"{self.name}: expected the folder {self.path}, got no such folder; {way}")
        path = named(self.path, WNIDS)
        wnids = _lines(path)
        if len(wnids) < 2 or len(set(wnids)) < len(wnids):
            raise InputError(f"{path}: expected two classes or more, each on one line, got {len(wnids)}")
        return {wnid: number for number, wnid in enumerate(sorted(wnids))}

    @cached_property
    def _training(self) -> Files:
        root, known = self.path / "train", self._numbers
        class_numbers(class_folders(root), self.class_names, str(root), str(self.path / WNIDS))
        return list_files(root, known, "images")

    @cached_property
    def _test(self) -> Files:
        folder, known = self.path / "val", self._numbers
        path = named(folder, ANNOTATIONS)
        labels = {f"images/{name}": known[wnid] for name, wnid in self._annotations(path).items()}
        return labelled(list_files(folder, {"images": 0}), labels, str(path))

    def _annotations(self, path: Path) -> dict[str, str]:
        """The wnid of each val image, from lines of file name, wnid and box, separated by tabs."""
        found = {}
        for position, line in enumerate(_lines(path), 1):
            name, _, rest = line.partition("\t")
            wnid = rest.partition("\t")[0].strip()
            if not name.lower().endswith(SUFFIXES):
                raise InputError(
                    f"{path}, line {position}: expected an image's name, a tab and a wnid, got {line[:80]!r}"
                )
            if wnid not in self._numbers:
                raise InputError(f"{path}, line {position}: expected a wnid of {WNIDS}, got {wnid!r}")
            found[name] = wnid
        return found


def _lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty."""
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        raise InputError(f"{path}: expected a text file of {TINY_IMAGENET_FOLDER} ({one_line(error)})") from None
    return [line.strip() for line in lines if line.strip()]


def tiny_imagenet(data_dir: Path, download: bool) -> TinyImagenet:
    """The registry's entry, in `data_dir`/tiny-imagenet-200; nothing is downloaded."""
    return TinyImagenet(data_dir / TINY_IMAGENET_FOLDER)
