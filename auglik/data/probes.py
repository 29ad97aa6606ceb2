"""Probes of a data set, of whatever kind."""

from collections.abc import Mapping

import numpy as np

from auglik.data.arrays import digest
from auglik.data.duplicates import content, in_training, in_training_line
from auglik.data.images import Images, parts
from auglik.data.levels import WHITE
from auglik.data.source import Part, Source, opened
from auglik.objectives.probes import Probe, expect
from auglik.system.notices import say_once

DECODED = 10_000
"""Images of a part, at most, whose pixels are read."""


def facts(source: Source) -> str:
    source.check()
    return f"{source.name}: {source.classes} classes, {source.traits}"


def _part(source: Source, part: Part) -> str:
    arrays = opened(source, part)
    expect(digest(opened(source, part)) == digest(arrays), "the same images at a second reading", "others")
    return f"images {list(arrays.images.shape)}, {_levels(arrays.images)}, digest {digest(arrays)[:16]}"


def _levels(images: Images) -> str:
    """Of all images or of DECODED, evenly spaced: digests of image files decode none."""
    read = np.arange(min(len(images), DECODED)) * len(images) // min(len(images), DECODED)
    lowest, highest = WHITE, 0
    for part in parts((len(read), *images.shape[1:])):
        levels = images[read[part]]
        lowest, highest = min(lowest, int(levels.min())), max(highest, int(levels.max()))
    return f"levels {lowest}..{highest}{'' if len(read) == len(images) else f' in {len(read):,} of them'}"


def alike(source: Source) -> str:
    shapes = [list(opened(source, part).images.shape[1:]) for part in ("train", "test")]
    expect(shapes[0] == shapes[1], f"test images {shapes[0]} as the training images", shapes[1])
    return f"{shapes[0]} in both parts"


def apart(source: Source) -> str:
    """Published sets share some images between their parts too: it is no fault."""
    training, test = (opened(source, part).images for part in ("train", "test"))
    found = in_training(content(test), content(training), np.arange(len(test)), np.arange(len(training)))
    if found is None:
        return "not looked for: too many files would be read, or parts are not both of files or of pixels"
    if found.images:
        say_once(f"{source.name}: {in_training_line(found.images, len(test), found.first)}")
    return f"{found.images:,} of {len(test):,} test images are training images"


DATASET_PROBES: Mapping[str, Probe[Source]] = {
    "facts": facts,
    "training part": lambda source: _part(source, "train"),
    "test part": lambda source: _part(source, "test"),
    "image size": alike,
    "parts apart": apart,
}
