"""A user's own corruptions of test images, made as they are read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from auglik.data import Arrays
from auglik.objectives.probes import Probe, expect
from auglik.robustness.stream import Condition
from auglik.settings.foreign import IMPORT_PATH, Code, said_of
from auglik.settings.registry import Registry, conforming
from auglik.system.keys import host_generator


class CorruptionSet(Protocol):
    """A frozen dataclass whose fields are its parameters."""

    @property
    def categories(self) -> Mapping[str, str]:
        """The name of every corruption, with the category that a mean is taken over."""
        ...

    def corrupt(
        self, image: NDArray[np.uint8], corruption: str, severity: int, generator: np.random.Generator
    ) -> NDArray[np.uint8]:
        """An image [H,W,c] at severity 1 to 5, of the same shape; `generator` is keyed by the image and all else."""
        ...


def named(corruptions: CorruptionSet) -> str:
    categories: object = corruptions.categories
    expect(isinstance(categories, Mapping) and bool(categories), "categories by corruption", f"{categories!r:.60}")
    taken = [name for name in corruptions.categories if name in ("mean", "all", "") or not str(name).isidentifier()]
    expect(not taken, "names of corruptions that are words, none of them mean or all", ", ".join(map(repr, taken)))
    categories = sorted({str(one) for one in corruptions.categories.values()} & {"mean", "all", ""})
    expect(not categories, "names of categories, none of them mean or all", ", ".join(map(repr, categories)))
    return ", ".join(f"{name} ({category})" for name, category in corruptions.categories.items())


def images(corruptions: CorruptionSet) -> str:
    changed = []
    for shape in ((32, 32, 3), (28, 28, 1)):
        image = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
        for name in corruptions.categories:
            given = image.copy()
            twice = [np.asarray(corruptions.corrupt(given, name, 3, np.random.default_rng(1))) for _ in range(2)]
            for found in twice:
                same = found.shape == shape and found.dtype == np.uint8
                expect(same, f"uint8 images {list(shape)} of {name}", f"{found.dtype} {list(found.shape)}")
            expect(np.array_equal(given, image), f"the image that {name} is given as it was", "it changed")
            expect(np.array_equal(twice[0], twice[1]), f"{name} to draw from the given generator alone", "other images")
            changed.append(float((twice[0] != image).mean()))
    return f"{np.mean(changed):.0%} of values changed at severity 3"


CORRUPTION_PROBES: Mapping[str, Probe[CorruptionSet]] = {"names": named, "images": images}


def check_corruptions(corruptions: CorruptionSet) -> None:
    """Raises InputError for the first probe that fails."""
    for probe in CORRUPTION_PROBES.values():
        probe(corruptions)


CORRUPTION_NAMES: Registry[CorruptionSet] = Registry(
    kind="corruption set",
    built_in={},
    group="auglik.corruptions",
    accept=lambda value: cast(CorruptionSet, conforming(value, "a corruption set", CorruptionSet)),
    probe=check_corruptions,
)

WORDS = ("auto", "made", "none")
"""The setting's values other than a folder and a name."""


def own_corruptions(text: str) -> tuple[CorruptionSet, Code] | None:
    """The set that the setting names by import path or as a plug-in; None for a word and for a folder."""
    plug_in = text.partition(":")[0] in CORRUPTION_NAMES.plug_ins()
    if text in WORDS or not (plug_in or IMPORT_PATH.fullmatch(text)) or Path(text).is_dir():
        return None
    found = CORRUPTION_NAMES.code(text)
    return None if found is None else (CORRUPTION_NAMES.parse(text), found[1])


def own_conditions(
    corruptions: CorruptionSet,
    code: Code,
    test: Arrays,
    positions: NDArray[np.int64],
    severities: tuple[int, ...],
    seed: int,
) -> list[Condition]:
    """The test images [n] under each corruption and severity, whose `positions` [n] in the whole set key their draws.

    Reading them raises InputError where `code`, which they are made by, fails.
    """

    def made(name: str, severity: int, image: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
        image = image.transpose(1, 2, 0).copy()
        found = corruptions.corrupt(image, name, severity, host_generator(seed, "corruption", name, severity, at))
        same = found.shape == image.shape and found.dtype == np.uint8
        expect(same, f"uint8 images {list(image.shape)} of {name}", f"{found.dtype} {list(found.shape)}")
        return found

    def reader(name: str, severity: int) -> Callable[[slice], NDArray[np.uint8]]:
        def read(where: slice) -> NDArray[np.uint8]:
            with said_of(code):
                pairs = zip(test.images[where], positions[where].tolist(), strict=True)
                return np.stack([made(name, severity, image, at) for image, at in pairs])

        return read

    return [
        Condition(
            kind="corruption",
            name=name,
            category=category,
            severity=severity,
            labels=test.labels,
            read=reader(name, severity),
        )
        for name, category in corruptions.categories.items()
        for severity in severities
    ]
