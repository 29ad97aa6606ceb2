"""Probes of a data set, of whatever kind."""

from collections.abc import Mapping

from auglik.data.arrays import digest
from auglik.data.source import Part, Source, opened
from auglik.objectives.probes import Probe, expect


def facts(source: Source) -> str:
    source.check()
    return f"{source.name}: {source.classes} classes, {source.traits}"


def _part(source: Source, part: Part) -> str:
    arrays = opened(source, part)
    expect(digest(opened(source, part)) == digest(arrays), "the same images at a second reading", "others")
    return f"images {list(arrays.images.shape)}, digest {digest(arrays)[:16]}"


def alike(source: Source) -> str:
    shapes = [list(opened(source, part).images.shape[1:]) for part in ("train", "test")]
    expect(shapes[0] == shapes[1], f"test images {shapes[0]} as the training images", shapes[1])
    return f"{shapes[0]} in both parts"


DATASET_PROBES: Mapping[str, Probe[Source]] = {
    "facts": facts,
    "training part": lambda source: _part(source, "train"),
    "test part": lambda source: _part(source, "test"),
    "image size": alike,
}
