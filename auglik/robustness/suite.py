"""The conditions that runs on one data set are scored under, opened once for all of them."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auglik.data import (
    Arrays,
    ClassNames,
    LazyArrays,
    Source,
    absent_classes,
    absent_line,
    digest,
    open_dataset,
    opened,
    take,
)
from auglik.data.listing import arrays_in
from auglik.data.source import CorruptedSource, FileSource
from auglik.objectives import InputError
from auglik.robustness.arrays import clean_condition, mollified_conditions, noise_key, occlusion_conditions
from auglik.robustness.human import load_human_labels
from auglik.robustness.image_set import chosen_images, image_conditions, image_fingerprint
from auglik.robustness.made import made_set
from auglik.robustness.npy_set import npy_conditions, npy_fingerprint
from auglik.robustness.own import own_conditions, own_corruptions
from auglik.robustness.protocol import OCCLUDED_SHARES, SCORING_RULE, TEMPERATURES, RobustnessConfig
from auglik.robustness.stream import Condition
from auglik.runs.digests_now import DigestsNow
from auglik.runs.resolve import read_facts
from auglik.scoring.corruptions import CORRUPTIONS
from auglik.system.files import json_text
from auglik.system.notices import say_once
from auglik.system.progress import Progress
from auglik.views import Shape

PUBLISHED = {
    "cifar10": "CIFAR-10-C",
    "cifar100": "CIFAR-100-C",
    "tiny-imagenet": "Tiny-ImageNet-C",
    "imagenet": "ImageNet-C",
}
"""The published -C sets by data set; the folder is looked for in the data folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """What every run on one data set is scored under."""

    conditions: list[Condition]
    """The clean test images first."""
    positions: NDArray[np.int64]
    """Of these in the whole test set [N]."""
    human: NDArray[np.float64] | None
    """Human label distributions [N,C] of the clean images."""
    occlusion: bool
    class_names: ClassNames
    shape: Shape
    """Of a test image."""
    training_digest: str
    measured: dict[str, object]
    """What identifies the conditions: settings and digests."""
    digests_now: DigestsNow
    """Of the test images that runs are scored on."""


class Corruptions(NamedTuple):
    """The corrupted test images, and what identifies them."""

    conditions: list[Condition]
    set_name: str
    fingerprint: str


def open_suite(
    dataset: str, data_dir: Path, config: RobustnessConfig, progress: Progress = lambda share: None
) -> Suite:
    """Finds, makes and checks all conditions; `progress` is called with the share of corruptions made where they are.

    Raises InputError for anything that cannot be measured as requested.
    """
    source = open_dataset(dataset, data_dir)
    test, seed = opened(source, "test"), config.robustness_seed
    chosen = np.arange(len(test.labels)) if config.images is None else chosen_images(test.labels, config.images, seed)
    subset = test if config.images is None else take(test, chosen)
    subset = subset.loaded() if isinstance(subset, LazyArrays) else subset
    if absent := absent_classes(source.class_names, subset.labels):
        say_once(f"{source.name}: {absent_line(absent)}")
    human_path = Path(config.human_labels) if config.human_labels is not None else None
    human = load_human_labels(human_path, test.labels, source.class_names)[chosen] if human_path is not None else None
    corruptions = _corruptions(dataset, source, test, subset, chosen, data_dir, config, progress)
    conditions = [clean_condition(subset), *corruptions.conditions]
    if config.occlusion:
        conditions += occlusion_conditions(subset, chosen, OCCLUDED_SHARES, seed)
    if config.mollified:
        conditions += mollified_conditions(subset, chosen, TEMPERATURES, seed)
    measured: dict[str, object] = {
        **dataclasses.asdict(config),
        "rule": SCORING_RULE,
        "human_labels": hashlib.sha256(human.tobytes()).hexdigest() if human is not None else None,
        "corruptions": corruptions.set_name,
        "corruptions_fingerprint": corruptions.fingerprint,
        "test_digest": digest(subset),
        "noise_key": f"{noise_key(seed) % 2**64:016x}" if config.mollified else None,
        "conditions": len(conditions),
    }
    return Suite(
        conditions=conditions, positions=chosen, human=human, occlusion=config.occlusion,
        class_names=source.class_names, shape=Shape(*test.images.shape[1:]), training_digest=read_facts(source).digest,
        measured={"identity": hashlib.sha256(json_text(measured).encode()).hexdigest(), **measured},
        digests_now=DigestsNow(data_dir),
    )  # fmt: skip


def _corruptions(
    dataset: str,
    source: Source,
    test: Arrays | LazyArrays,
    subset: Arrays,
    chosen: NDArray[np.int64],
    data_dir: Path,
    config: RobustnessConfig,
    progress: Progress,
) -> Corruptions:
    """Of `subset`, the images `chosen` [n] of the test set; of the others none is read."""
    severities, allow_missing, seed = config.chosen_severities(), config.allow_missing, config.robustness_seed
    if (own := own_corruptions(config.corruptions)) is not None:
        corruptions, code = own
        conditions = own_conditions(corruptions, code, subset, chosen, severities, seed)
        return Corruptions(conditions, repr(corruptions), code.digest)
    folder = find_corruptions(config.corruptions, dataset, source, data_dir)
    if folder is None:
        return Corruptions([], "none", "")
    if folder == "made":
        made = made_set(source.name, subset, chosen, data_dir, seed, progress)
        conditions = npy_conditions(made, subset, np.arange(len(chosen)), severities)
        return Corruptions(conditions, made.name, npy_fingerprint(made))
    if set(arrays_in(folder)) & set(CORRUPTIONS):
        conditions = npy_conditions(folder, test, chosen, severities, allow_missing, source.class_names)
        return Corruptions(conditions, folder.name, npy_fingerprint(folder))
    shape = Shape(*test.images.shape[1:])
    names = source.class_names
    absent = absent_classes(names, test.labels)
    files = source.test_files() if isinstance(source, FileSource) else []
    wanted = [(int(test.labels[position]), files[position]) for position in chosen] if files else []
    conditions = image_conditions(folder, shape, names, severities, config.images, seed, allow_missing, absent, wanted)
    return Corruptions(conditions, folder.name, image_fingerprint(folder))


def find_corruptions(asked: str, dataset: str, source: Source, data_dir: Path) -> Path | Literal["made"] | None:
    """Where the corruptions are that the setting means: a folder, `made` or None.

    Raises InputError for a folder that does not exist, the published set's included.
    """
    if asked == "none":
        return None
    if asked == "made":
        return "made"
    if asked != "auto":
        folder = Path(asked)
        if not folder.is_dir():
            raise InputError(f"corruptions: expected auto, made, none or a -C folder, got {asked!r}: no such folder")
        return folder
    if isinstance(source, CorruptedSource) and set(source.corruptions()) & set(CORRUPTIONS):
        return source.path
    if dataset not in PUBLISHED:
        return "made"
    folder = data_dir / PUBLISHED[dataset]
    if not folder.is_dir():
        raise InputError(
            f"{folder}: expected the published corruptions of {dataset}, got no such folder: give it with"
            " --corruptions, or use --corruptions made or none"
        )
    return folder
