"""HMC on every cell at once: the cells' posteriors are sampled apart."""

from collections.abc import Sequence
from typing import cast

import jax
import numpy as np

from auglik.inference.calibration.data import CellData, mean_logit
from auglik.inference.calibration.model import ModelData, model
from auglik.inference.whitened import Draws, posteriors


def sample(cells: Sequence[CellData], seed: int, warmup: int, draws: int) -> Draws:
    """Draws of every cell's posterior."""
    return posteriors(model, model_data(cells), "calibration", seed, warmup, draws)


def model_data(cells: Sequence[CellData]) -> ModelData:
    """Of all cells, stacked along a first axis."""
    columns = {name: np.stack([np.asarray(getattr(cell, name), float) for cell in cells]) for name in CellData._fields}
    own, own_anywhere, centre, scale = (
        columns[name][:, None, None] for name in ("shared", "shared_anywhere", "centre", "scale")
    )
    host = {
        "images": columns["images"] / (1 - own),
        "correct": columns["correct"] / (1 - own),
        "logit": mean_logit(columns["confidence"], columns["images"]),
        "luck": columns["luck"],
        "common_luck": columns["common_luck"],
        "curve_root": columns["curve_root"],
        "group_images": columns["group_images"] / (1 - own_anywhere),
        "group_correct": columns["group_correct"] / (1 - own_anywhere),
        "group_logit": columns["group_logit"],
        "group_x": (columns["group_logit"] - centre) / scale,
        "luck_root": columns["luck_root"],
        "seed_line": columns["seed_line"],
        "own_variance": columns["own_variance"],
        "several": columns["several"],
    }
    return ModelData(**{name: cast(jax.Array, value) for name, value in host.items()})  # which compiled code takes
