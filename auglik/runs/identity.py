"""What of a run's settings enters the hash that tells its results from others."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields

from auglik.runs.adaptive_settings import AdaptiveConfig
from auglik.runs.settings import SETTINGS, RunConfig, flatten
from auglik.sampling.settings import SamplingConfig
from auglik.settings.fields import Scalar

RESULT_FORMAT = 3
"""Increased whenever the same settings would give other numbers, so that old results are not taken for new ones."""

ADDED = (
    "deterministic", "cuda_graphs", "optimizer", "rate_schedule", "gradient_clip", "average", "weights_digest",
    "weights_head", "batch_norm", "degrade_toward", "coupling",
    *(item.name for config in (SamplingConfig, AdaptiveConfig) for item in fields(config)),
)  # fmt: skip
"""Settings added within this format: at its default, none of them enters the hash, which so stays what it was."""

MOVABLE = ("dataset", "weights")
"""Settings that name things which enter the hash by content, so that a file may move."""


def identity_of(config: RunConfig) -> dict[str, Scalar]:
    """The settings that enter a run's hash as they are."""
    flat = {key: value for key, value in flatten(config).items() if key not in MOVABLE}
    return {key: value for key, value in flat.items() if key not in ADDED or value != SETTINGS[key].default}


def hash_of(identity: Mapping[str, object]) -> str:
    """SHA-256 of settings by name; of the device only the kind counts."""
    kind = str(identity["device"]).partition(":")[0]
    return hashlib.sha256(json.dumps({**identity, "device": kind}, sort_keys=True).encode()).hexdigest()
