"""Image files in a folder for each class (ImageNet-1K, ImageNet-V2), decoded and resized on the fly."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from auglik.data.arrays import Arrays, LazyArrays
from auglik.data.class_names import ClassNames, class_numbers, some
from auglik.data.decoding import resize_and_crop
from auglik.data.image_files import Files, class_folders, list_files
from auglik.data.listing import folders
from auglik.data.source import Part, Traits
from auglik.objectives.errors import InputError
from auglik.settings.names import parameters, parse, with_values

TEST_PARTS = ("val", "test")
VALIDATION = ("valid", "validation")
"""What folders for validation are called too, which would be passed over."""
SMALLEST = 8


@dataclass(frozen=True)
class ImageSettings:
    """The side of the images that views are made from, and where the test images are.

    Of training and test images alike, the shorter side is resized to `resize` and the central square is taken; 0 is
    size times 256/224, torchvision's protocol. `test` is another folder of test images, such as ImageNet-V2.
    Raises InputError for sizes out of range.
    """

    size: int = 224
    resize: int = 0
    test: str = ""

    def __post_init__(self) -> None:
        if self.size < SMALLEST:
            raise InputError(f"size: expected at least {SMALLEST} pixels, got {self.size}")
        if self.resize and self.resize < self.size:
            raise InputError(f"resize: expected 0 or at least the size, {self.size} pixels, got {self.resize}")

    def shorter(self) -> int:
        """What the shorter side is resized to, in pixels."""
        return self.resize or round(self.size * 256 / 224)


@dataclass(frozen=True)
class ImageFolder:
    """A `Source` of train/CLASS/FILE and val/CLASS/FILE, or test/CLASS/FILE where there is no val; both are refused.

    Classes are numbered in the order of the names of their training folders. Test folders bear these names, or are 0 to
    C-1, where those are not numbers: the classes themselves (ImageNet-V2). Not all classes need be among them.
    `expected` is the published set's number of classes.
    """

    path: Path
    settings: ImageSettings = field(default_factory=ImageSettings)
    published: str = ""
    expected: int | None = None

    def configured(self, settings: str) -> Self:
        """Raises InputError for settings that are unknown or out of range."""
        return replace(self, settings=parse("image settings", f"images:{settings}", {"images": self.settings}))

    @property
    def name(self) -> str:
        return self.published or self.path.name or str(self.path)

    @property
    def traits(self) -> Traits:
        if self.settings.size >= 128:
            return Traits(flip=True, network="torchvision:resnet50", epochs=90)
        return Traits(flip=True, network="fast-resnet", epochs=10)

    @property
    def classes(self) -> int:
        return self.expected or len(self._numbers)

    @property
    def class_names(self) -> ClassNames:
        return tuple(self._numbers)

    def train(self) -> Arrays:
        return self.opened("train").loaded()

    def test(self) -> Arrays:
        return self.opened("test").loaded()

    def opened(self, part: Part) -> LazyArrays:
        """Images that are decoded on demand."""
        self._check_classes()
        files = self._training if part == "train" else self._test
        size, shorter = self.settings.size, self.settings.shorter()
        return files.decoded(
            partial(resize_and_crop, shorter=shorter, size=size), size, files.marks(f"{shorter}/{size}")
        )

    def test_files(self) -> list[str]:
        return self._test.stems()

    def check(self) -> None:
        self._check_classes()
        _ = self._training, self._test

    def _check_classes(self) -> None:
        found = len(self._numbers)
        if self.expected is not None and found != self.expected:
            raise InputError(
                f"{self.path / 'train'}: expected the {self.expected} classes of {self.name}, got {found}"
                " (an interrupted copy?)"
            )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The class of each training folder."""
        if not self.path.is_dir():
            way = "give its parent folder as --data-dir (--download does not fetch it)"
            raise InputError(f"{self.name}: expected {self.path} with train and val folders, got no such folder; {way}")
        if not (self.path / "train").is_dir():
            got = some(self._others()) or "none"
            raise InputError(
                f"{self.path}: expected a train folder, got {got}; to test on these images, give them as the test"
                f" setting of the training images, FOLDER:test={self.path}"
            )
        names = class_folders(self.path / "train")
        if len(names) < 2:
            raise InputError(f"{self.path / 'train'}: expected two or more class folders, got only {names[0]}")
        return {name: number for number, name in enumerate(names)}

    @cached_property
    def _training(self) -> Files:
        return list_files(self.path / "train", self._numbers)

    @cached_property
    def _test(self) -> Files:
        root = self._test_root()
        names, known = class_folders(root), self.class_names
        numbers = class_numbers(names, known, str(root), str(self.path / "train"), absent=known)
        return list_files(root, dict(zip(names, numbers.tolist(), strict=True)))

    def _test_root(self) -> Path:
        if self.settings.test:
            return Path(self.settings.test)
        found = [self.path / part for part in TEST_PARTS if (self.path / part).is_dir()]
        if not found:
            others = self._others()
            got = f"{some(others)}: name it so, or give {self.path}:test=FOLDER" if others else "neither"
            raise InputError(f"{self.path}: expected a val or a test folder next to train, got {got}")
        aside = [self.path / name for name in self._others() if name.lower() in VALIDATION]
        several = [folder for folder in (*found, *aside) if self._holds_classes(folder)]
        if len(several) > 1:
            name, default = self.published or str(self.path), parameters(ImageSettings())
            given = {key: value for key, value in parameters(self.settings).items() if value != default[key]}
            names = f"{', '.join(folder.name for folder in several[:-1])} and {several[-1].name}"
            ways = " or ".join(with_values(name, {**given, "test": str(folder)}) for folder in several)
            raise InputError(f"{self.path}: expected one folder of test images, got {names}: give {ways}")
        return found[0]

    def _others(self) -> list[str]:
        """The folders beside `train`."""
        with suppress(OSError):
            return [name for name in folders(self.path) if name != "train"]
        return []

    def _holds_classes(self, folder: Path) -> bool:
        """Unlike ImageNet's test images, which have no labels."""
        with suppress(OSError):
            names, known = folders(folder), self.class_names
            return any(name in known or name.isdecimal() for name in names)
        return False


def imagenet(data_dir: Path, download: bool) -> ImageFolder:
    """The registry's entry: ImageNet-1K (Russakovsky et al. 2015) in `data_dir`/imagenet; nothing is downloaded."""
    return ImageFolder(data_dir / "imagenet", published="imagenet", expected=1000)
